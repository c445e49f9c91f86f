// fuzz/wasm_layout.cpp
//
// Promise: any bytes as a module: facts or a sentence that says why not; never a crash, never more read than there is.

#include "base/check.hpp"
#include "wasm/inspect.hpp"
#include "wasm/layout.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto layout = jamsocket::wasm::read_layout(bytes);
  if (layout) {
    for (const auto& section : layout->sections) {
      JAM_CHECK(section.begin < section.payload_begin && section.payload_begin <= section.end && section.end <= size);
    }
  } else {
    JAM_CHECK(!layout.error().message.empty());
  }
  const auto facts = jamsocket::wasm::inspect(bytes);
  JAM_CHECK(layout.has_value() || !facts.problems.empty());
  return 0;
}
