// config/bare_text.hpp
//
// What stands in a TOML text outside of its strings and comments.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace jamsocket::config {

struct BareTextPlace {
  std::uint32_t line = 1;
  std::uint32_t column = 1;  ///< In characters.
};

/// The first character beyond ASCII outside of strings and comments, where TOML allows none. The parser must not
/// see one: there it runs into what it takes to be unreachable.
[[nodiscard]] std::optional<BareTextPlace> find_bare_non_ascii(std::string_view text);

}  // namespace jamsocket::config
