// auth/strict_json.hpp
//
// JSON that has one meaning only, for what decides who may do what.

#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

namespace jamsocket::auth {

/// @return nullopt: not JSON, a name twice in one object, or nested more than 16 deep.
/// @source RFC 8259; RFC 7519 section 4 (claim names are unique)
[[nodiscard]] std::optional<nlohmann::json> parse_strict_json(std::string_view text);

}  // namespace jamsocket::auth
