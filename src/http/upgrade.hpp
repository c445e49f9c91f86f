// http/upgrade.hpp
//
// Whether a request may become a WebSocket, and the bytes that say yes.

#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"
#include "http/response.hpp"

namespace jamsocket::http {

/// What the client asked for, found sound.
struct Upgrade {
  std::string key;                     ///< Sec-WebSocket-Key, for ws::accept_key.
  std::vector<std::string> protocols;  ///< Subprotocols offered, in the client's order, no duplicates.
  std::string extensions;              ///< The offers of all Sec-WebSocket-Extensions headers, unparsed.
};

/// Whether the client means a WebSocket at all: GET with `Upgrade: websocket`. For telling apart what a path
/// serves both ways; `check_upgrade` is what decides.
[[nodiscard]] bool wants_upgrade(const Request& request);

/// Holds an opening handshake to the rules.
/// @return what was asked for, or the whole refusal: one sentence as its body, and the headers it needs.
///         405 not GET · 426 no or another Upgrade, Connection or version · 400 key missing, twice or not
///         16 bytes, a body, two Origins, subprotocols that are no list of distinct tokens.
/// @source RFC 6455 section 4.2; RFC 9110 sections 7.8 and 15.5.22
[[nodiscard]] std::expected<Upgrade, Response> check_upgrade(const Request& request);

/// What the server agrees to; each part is sent only if it is there.
struct UpgradeAnswer {
  std::string_view accept;      ///< ws::accept_key of the client's key.
  std::string_view protocol;    ///< One of those offered.
  std::string_view extensions;  ///< E.g. "permessage-deflate".
};

/// The 101 answer. Ends the process if a part holds a control character.
[[nodiscard]] std::string upgrade_response(const UpgradeAnswer& answer);

/// The same answer with another subprotocol, or with one. Ends the process if `protocol` is not a token.
/// @param response  what `upgrade_response` returned.
[[nodiscard]] std::string with_subprotocol(std::string_view response, std::string_view protocol);

}  // namespace jamsocket::http
