#include <array>
#include <cstdio>

#include "base/log.hpp"

namespace jamsocket {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  ///< 0: not valid UTF-8 here.
};

CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return {first, 1};
  }
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) {
    return {};
  }
  char32_t value = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) {
      return {};
    }
    value = (value << 6U) | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[length] || surrogate || value > 0x10FFFF) {
    return {};
  }
  return {value, length};
}

// What a terminal or a log viewer would act on instead of showing.
bool is_invisible(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF || c == 0x61C;
}

void append_escape(std::string& out, char32_t c, bool is_byte) {
  std::array<char, 16> text{};
  const char* format = is_byte ? "\\x%02x" : c > 0xFFFF ? "\\U%08x" : "\\u%04x";
  std::snprintf(text.data(), text.size(), format, static_cast<unsigned>(c));
  out += text.data();
}

}  // namespace

std::string escape_for_log(std::string_view text, std::size_t bytes_max) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (at >= bytes_max) {
      out += "...";
      break;
    }
    const CodePoint c = decode_utf8(text.substr(at));
    if (c.length == 0) {
      append_escape(out, static_cast<unsigned char>(text[at]), true);
      ++at;
      continue;
    }
    if (c.value == U'"' || c.value == U'\\') {
      out += '\\';
      out += static_cast<char>(c.value);
    } else if (c.value == U'\n') {
      out += "\\n";
    } else if (is_invisible(c.value)) {
      append_escape(out, c.value, false);
    } else {
      out += text.substr(at, c.length);
    }
    at += c.length;
  }
  return out;
}

}  // namespace jamsocket
