// ws/deflate_offer.hpp
//
// What client and server agree on before they compress messages: permessage-deflate's four parameters.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace jamsocket::ws {

enum class ContextTakeover : std::uint8_t {
  No,   ///< Each message stands alone: a loop's one compressor serves all its sessions.
  Yes,  ///< Each message may refer to those before: better, and a window a session and direction.
};

/// What the server is willing to do.
struct DeflateOptions {
  bool enabled = false;
  ContextTakeover takeover = ContextTakeover::No;  ///< Yes: unless the client asks not to.
  std::uint8_t server_window_bits = 15;            ///< 9 to 15: 2^n bytes a message may refer back to.
  std::uint8_t client_window_bits = 15;            ///< 8 to 15; holds for clients that let us choose.
};

/// What holds for one session. Small, so that a session can keep it.
struct DeflateAgreement {
  std::uint8_t server_window_bits = 15;
  std::uint8_t client_window_bits = 15;
  ContextTakeover server_takeover = ContextTakeover::No;
  ContextTakeover client_takeover = ContextTakeover::No;
  friend bool operator==(const DeflateAgreement&, const DeflateAgreement&) = default;
};

struct AgreedDeflate {
  DeflateAgreement agreement;
  std::string answer;  ///< For Sec-WebSocket-Extensions.
};

/// Takes the first offer of permessage-deflate that can be held to.
///
/// @param offers  the values of all Sec-WebSocket-Extensions headers, joined by commas; may be empty.
/// @return nullopt when there is none, or compression is off: the session does without. An offer with an unknown
///         parameter, one given twice or a bad value is passed over, and so is a server window of 8 bits, which
///         zlib cannot write.
/// @error Malformed  `offers` is no list of extensions (an unterminated quote, ...), whether or not compression is on.
///        Answer with 400.
/// @source RFC 6455 section 9.1; RFC 7692 sections 5 and 7.1
[[nodiscard]] Result<std::optional<AgreedDeflate>> negotiate_deflate(std::string_view offers,
                                                                     const DeflateOptions& options);

}  // namespace jamsocket::ws
