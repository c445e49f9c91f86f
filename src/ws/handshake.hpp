// ws/handshake.hpp
//
// The two strings of the opening handshake: the client's key and the server's answer to it.

#pragma once

#include <string>
#include <string_view>

namespace jamsocket::ws {

/// Whether `key` is the base64 form of 16 bytes: 22 letters and "==".
/// @source RFC 6455 section 4.1 (7)
[[nodiscard]] bool is_handshake_key(std::string_view key);

/// The value of Sec-WebSocket-Accept for `key`, 28 characters.
/// @source RFC 6455 section 4.2.2 (5.4)
[[nodiscard]] std::string accept_key(std::string_view key);

}  // namespace jamsocket::ws
