// server/credentials.hpp
//
// What a request brings along to say who sends it: a token, or a ticket. Pure: nothing is checked here.

#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"
#include "http/response.hpp"

namespace jamsocket::server {

/// How a service takes tokens.
struct TokenCarriers {
  bool subprotocol = true;    ///< Sec-WebSocket-Protocol: jam.bearer.TOKEN
  bool authorization = true;  ///< Authorization: Bearer TOKEN
  bool ticket = true;         ///< ?ticket=TICKET
  bool message = false;       ///< The first message.
};

struct Credential {
  enum class Kind : std::uint8_t { None, Token, Ticket } kind = Kind::None;
  std::string text;  ///< The token or ticket itself; of a peer, and secret.
};

/// Takes the credential out of a request.
/// @param protocols  the subprotocols it offers; null: it opens no WebSocket. One that carries a token is taken out.
/// @return or a refusal: 400 two of them, one twice, or a token as the only subprotocol, which then could not be
///         answered with another one.
[[nodiscard]] std::expected<Credential, http::Response> take_credential(const http::Request& request,
                                                                        const TokenCarriers& carriers,
                                                                        std::vector<std::string>* protocols);

/// The value of an opaque resume token among the subprotocols ("jam.resume.TOKEN"), taken out of them, or of the
/// query ("?resume=TOKEN"); empty: there is none.
[[nodiscard]] std::string take_resume(const http::Request& request, std::vector<std::string>& protocols);

/// `query` without the pairs that are secrets of the server's and none of the service's business.
[[nodiscard]] std::string without_secrets(std::string_view query);

/// 401, asking for a token.
[[nodiscard]] http::Response token_refused(std::string_view sentence);

}  // namespace jamsocket::server
