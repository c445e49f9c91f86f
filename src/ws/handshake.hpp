// ws/handshake.hpp
//
// The server's answer to the key of an opening handshake (http/upgrade.hpp checks the key).

#pragma once

#include <string>
#include <string_view>

namespace jamsocket::ws {

/// The value of Sec-WebSocket-Accept for `key`, 28 characters.
/// @source RFC 6455 section 4.2.2 (5.4)
[[nodiscard]] std::string accept_key(std::string_view key);

}  // namespace jamsocket::ws
