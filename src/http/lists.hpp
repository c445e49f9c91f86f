// http/lists.hpp
//
// The small grammar that many headers share: tokens and comma-separated lists.

#pragma once

#include <algorithm>
#include <string_view>

namespace jamsocket::http {

/// A character of a token.
/// @source RFC 9110 section 5.6.2
[[nodiscard]] constexpr bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

[[nodiscard]] constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

/// Without spaces and tabs at both ends.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Takes the element before the next comma off the front of `rest`, trimmed; it may be empty.
constexpr std::string_view take_element(std::string_view& rest, char separator = ',') {
  const auto comma = rest.find(separator);
  const std::string_view element = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return trim(element);
}

}  // namespace jamsocket::http
