// base/number.hpp
//
// Text that is a whole number and nothing else.

#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>
#include <system_error>

namespace jamsocket {

/// Digits of the base only: no sign, space or prefix; leading zeros are fine.
/// @return nullopt: it is empty, has anything else in it, or is beyond what a `Number` holds.
template <std::unsigned_integral Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number number = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stopped_at, error] = std::from_chars(begin, end, number, base);
  return error == std::errc() && stopped_at == end ? std::optional(number) : std::nullopt;
}

}  // namespace jamsocket
