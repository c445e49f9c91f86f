// fuzz/config_file.cpp
//
// Promise: any text as jamsocket.toml: settings or problems, each with a sentence; never a crash.

#include "config/file.hpp"

#include "base/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  jamsocket::config::Settings settings;
  const auto contents = jamsocket::config::apply_toml({reinterpret_cast<const char*>(data), size}, "/folder", settings);
  for (const auto& problem : contents.problems) {
    JAM_CHECK(!problem.text.empty() && !problem.text.contains('\n'));
  }
  return 0;
}
