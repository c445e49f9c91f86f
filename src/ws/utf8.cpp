#include "ws/utf8.hpp"

#include <algorithm>
#include <cstddef>

#include "base/utf8.hpp"

namespace jamsocket::ws {
namespace {

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
