// fuzz/wasm_rewrite.cpp
//
// Promise: a module that can be read is rewritten into one that can be read, with every mutable number global exported;
// if it was valid, so is the rewritten one; and rewriting that changes nothing more.

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/layout.hpp"
#include "wasm/rewrite.hpp"

namespace {

using jamsocket::wasm::Engine;

bool is_valid(const Engine& engine, std::string_view bytes) {
  const jamsocket::wasm::ErrorHandle error(wasmtime_module_validate(
      engine.impl().engine.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  return error == nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Engine engine;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto layout = jamsocket::wasm::read_layout(bytes);
  if (!layout) {
    return 0;
  }
  (void)jamsocket::wasm::obstacles_to_capture(bytes, *layout);
  const auto once = jamsocket::wasm::export_mutable_globals(bytes, *layout);
  if (!once) {
    JAM_CHECK(!once.error().message.empty());
    return 0;
  }
  const auto after = jamsocket::wasm::read_layout(once->bytes);
  JAM_CHECK(after.has_value());
  for (const auto& global : once->globals) {
    JAM_CHECK(after->find_export(global.export_name) != nullptr);
  }
  JAM_CHECK(jamsocket::wasm::export_mutable_globals(once->bytes, *after)->bytes == once->bytes);
  JAM_CHECK(!is_valid(engine, bytes) || is_valid(engine, once->bytes));
  return 0;
}
