#include "ws/utf8.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace jamsocket::ws {
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

// How many bytes at the end of `text` belong to a character that ends after it, if its bytes are right.
std::size_t unfinished_bytes(std::string_view text) {
  const std::size_t look_back = std::min<std::size_t>(3, text.size());
  for (std::size_t back = 1; back <= look_back; ++back) {
    const auto byte = static_cast<std::uint8_t>(text[text.size() - back]);
    if (byte < 0x80) {
      return 0;
    }
    if (byte >= 0xC0) {
      const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
      return length > back ? back : 0;
    }
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  // Most messages are short and plain; the library's dispatch costs more than looking at them.
  if (text.size() <= kShortBytes && is_ascii(text)) {
    return true;
  }
  return simdjson::validate_utf8(text.data(), text.size());
}

bool Utf8Stream::feed(std::string_view piece) {
  while (!piece.empty() && missing_ > 0) {
    if (!step(static_cast<std::uint8_t>(piece.front()))) {
      return false;
    }
    piece.remove_prefix(1);
  }
  const std::size_t tail = unfinished_bytes(piece);
  if (!is_utf8(piece.substr(0, piece.size() - tail))) {
    return false;
  }
  return std::ranges::all_of(piece.substr(piece.size() - tail),
                             [this](char byte) { return step(static_cast<std::uint8_t>(byte)); });
}

bool Utf8Stream::step(std::uint8_t byte) {
  if (missing_ > 0) {
    const bool possible = byte >= next_min_ && byte <= next_max_;
    --missing_;
    next_min_ = 0x80;
    next_max_ = 0xBF;
    return possible;
  }
  if (byte < 0x80) {
    return true;
  }
  if (byte < 0xC2 || byte > 0xF4) {
    return false;  // A continuation byte, a first byte of an overlong form, or one beyond U+10FFFF.
  }
  missing_ = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
  if (byte == 0xE0) {
    next_min_ = 0xA0;  // Below: overlong.
  } else if (byte == 0xED) {
    next_max_ = 0x9F;  // Above: surrogates.
  } else if (byte == 0xF0) {
    next_min_ = 0x90;  // Below: overlong.
  } else if (byte == 0xF4) {
    next_max_ = 0x8F;  // Above: beyond U+10FFFF.
  }
  return true;
}

}  // namespace jamsocket::ws
