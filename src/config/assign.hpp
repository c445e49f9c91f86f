// config/assign.hpp
//
// Puts one value into the settings, if the table allows it.
//
// The problem texts say what was wrong and what is allowed, without the place: the caller knows it.

#pragma once

#include <string>
#include <string_view>

#include "config/settings.hpp"

namespace jamsocket::config {

/// A value as a flag or an environment variable has it: always text. Lists are separated by commas.
/// @param folder  relative paths are relative to it; empty: to the working directory.
/// @return what was wrong; empty: the value is set.
[[nodiscard]] std::string assign_text(const Entry& entry, std::string_view text, const std::string& folder,
                                      Settings& settings);

/// A whole number as a TOML file has it.
[[nodiscard]] std::string assign_integer(const Entry& entry, std::int64_t value, Settings& settings);
/// A text as a TOML file has it: for a number only if it is a size, like "64MiB".
[[nodiscard]] std::string assign_string(const Entry& entry, std::string_view text, const std::string& folder,
                                        Settings& settings);
[[nodiscard]] std::string assign_list(const Entry& entry, const std::vector<std::string>& texts, Settings& settings);
/// What is said of a value of a type that this entry cannot have: `type` is "a decimal number", ...
[[nodiscard]] std::string wrong_type(const Entry& entry, std::string_view type);

}  // namespace jamsocket::config
