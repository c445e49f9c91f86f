// ws/close_code.hpp
//
// Close codes by name, and which of them a peer may send.

#pragma once

#include <cstdint>

namespace jamsocket::ws::close_code {

inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kUnsupportedData = 1003;
inline constexpr std::uint16_t kNoStatus = 1005;  ///< Means "the frame had no code"; never on the wire.
inline constexpr std::uint16_t kAbnormal = 1006;  ///< Means "no close frame came"; never on the wire.
inline constexpr std::uint16_t kBadData = 1007;   ///< Bad UTF-8, bad compressed data.
inline constexpr std::uint16_t kPolicy = 1008;
inline constexpr std::uint16_t kTooBig = 1009;
inline constexpr std::uint16_t kExtensionNeeded = 1010;
inline constexpr std::uint16_t kInternalError = 1011;
inline constexpr std::uint16_t kRestart = 1012;
inline constexpr std::uint16_t kTryLater = 1013;
inline constexpr std::uint16_t kBadGateway = 1014;
inline constexpr std::uint16_t kUnauthorized = 4401;  ///< Ours: no token, a wrong one, or one that has expired.
inline constexpr std::uint16_t kForbidden = 4403;     ///< Ours: the service said no, where 403 comes too late.
inline constexpr std::uint16_t kNotFound = 4404;      ///< Ours: there is no such room, where 404 comes too late.
inline constexpr std::uint16_t kReplaced = 4409;      ///< Ours: the client came back by another connection.

/// Whether a Close frame from a peer may carry `code`; if not, close with 1002.
/// @source RFC 6455 section 7.4; 1012 to 1014 from the IANA registry of close codes.
[[nodiscard]] constexpr bool may_be_received(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace jamsocket::ws::close_code
