#include "wasm/engine_api.hpp"

namespace jamsocket::wasm {

std::string message_of(const wasmtime_error_t& error) {
  OwnedBytes message;
  wasmtime_error_message(&error, &message.vec);
  return {message.vec.data, message.vec.size};
}

std::string message_of(const wasm_trap_t& trap) {
  OwnedBytes message;
  wasm_trap_message(&trap, &message.vec);
  // The C API counts a terminating zero.
  return {message.vec.data, message.vec.size > 0 ? message.vec.size - 1 : 0};
}

}  // namespace jamsocket::wasm
