// auth/base64url.hpp
//
// Base64 for URLs, without padding: RFC 4648 section 5. Pure.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace jamsocket::auth {

[[nodiscard]] std::string base64url(std::string_view bytes);

/// @return nullopt: a character that is none of the 64, a length that no bytes have, or a last character
///         with bits that mean nothing. So two different texts never mean the same bytes.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

}  // namespace jamsocket::auth
