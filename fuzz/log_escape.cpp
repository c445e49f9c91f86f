// fuzz/log_escape.cpp
//
// Promise: any bytes of a peer in a log line: one line of printable, valid UTF-8, no longer than it may be.

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string escaped = jamsocket::escape_for_log({reinterpret_cast<const char*>(data), size}, 64);
  JAM_CHECK(escaped.size() <= 64 * 12 + 3);
  JAM_CHECK(std::ranges::none_of(escaped, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
  return 0;
}
