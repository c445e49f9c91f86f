#include "config/bare_text.hpp"

#include <algorithm>
#include <cstddef>

namespace jamsocket::config {
namespace {

// Where a string that begins at `begin` ends: behind its closing quotes. A one-line string that is not closed ends with
// its line; what is wrong with it is the parser's to say.
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  const bool has_escapes = quote == '"';
  const std::string_view triple = quote == '"' ? R"(""")" : "'''";
  const bool is_multi_line = text.substr(begin).starts_with(triple);
  for (std::size_t i = begin + (is_multi_line ? triple.size() : 1); i < text.size(); ++i) {
    if (has_escapes && text[i] == '\\') {
      ++i;
    } else if (is_multi_line && text.substr(i).starts_with(triple)) {
      // One or two more quotes belong to the string.
      i += triple.size();
      for (int more = 0; more < 2 && i < text.size() && text[i] == quote; ++more) {
        ++i;
      }
      return i;
    } else if (!is_multi_line && text[i] == quote) {
      return i + 1;
    } else if (!is_multi_line && text[i] == '\n') {
      return i;
    }
  }
  return text.size();
}

BareTextPlace place_at(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const std::size_t last_break = before.rfind('\n');
  const std::string_view line = last_break == std::string_view::npos ? before : before.substr(last_break + 1);
  const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
  return {.line = static_cast<std::uint32_t>(1 + std::ranges::count(before, '\n')),
          .column = static_cast<std::uint32_t>(1 + std::ranges::count_if(line, begins_character))};
}

}  // namespace

std::optional<BareTextPlace> find_bare_non_ascii(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) >= 0x80U) {
      return place_at(text, i);
    }
    if (text[i] == '"' || text[i] == '\'') {
      i = end_of_string(text, i);
    } else if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

}  // namespace jamsocket::config
