// fuzz/stateroom.cpp
//
// Promise: any bytes as a guest's message: a command whose payload lies within them, or none; never a crash.

#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "wasm/stateroom_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto command = jamsocket::wasm::stateroom::decode_command(bytes);
  if (!command) {
    return 0;
  }
  (void)command->resolved();
  if (!command->payload.empty()) {
    JAM_CHECK(command->payload.data() >= bytes.data());
    JAM_CHECK(command->payload.data() + command->payload.size() <= bytes.data() + bytes.size());
  }
  return 0;
}
