#include "base/utf8.hpp"

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace jamsocket {
namespace {

constexpr std::size_t kShortBytes = 256;

bool is_ascii(std::string_view text) {
  std::uint64_t seen = 0;
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    seen |= word;
  }
  for (; left > 0; --left, ++at) {
    seen |= static_cast<std::uint8_t>(*at);
  }
  return (seen & 0x8080'8080'8080'8080ULL) == 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  // Most messages are short and plain; the library's dispatch costs more than looking at them.
  if (text.size() <= kShortBytes && is_ascii(text)) {
    return true;
  }
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace jamsocket
