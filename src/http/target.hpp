// http/target.hpp
//
// What a request is for: the target taken apart, the route it names, the room id or file in it.
//
// Everything is decoded exactly once, and here.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace jamsocket::http {

struct TargetParts {
  std::string authority;  ///< Of an absolute target; else empty.
  std::string path;       ///< Still percent-encoded; begins with "/".
  std::string query;      ///< Without "?".
};

/// Takes a request target apart: "/path?query" or "http://authority/path?query".
/// @return nullopt for any other form: "host:port", "*", nothing.
/// @source RFC 9112 section 3.2
[[nodiscard]] std::optional<TargetParts> parse_request_target(std::string_view target);

/// Whether `text` is a non-empty host (a name, or an address, IPv6 in brackets) and optionally a port.
/// A user name before it is refused.
/// @source RFC 9110 section 4.2; RFC 3986 section 3.2
[[nodiscard]] bool is_authority(std::string_view text);

enum class RouteKind : std::uint8_t {
  Status,   ///< /status
  NewRoom,  ///< /new_room, and /new_room/{service}; `rest` is the service, or empty.
  Room,     ///< /ws/{room} and /ws/{service}/{room}; `rest` is all after "/ws/".
  Ticket,   ///< /ticket/{room} and /ticket/{service}/{room}; `rest` is all after "/ticket/".
  Client,   ///< /client and /client/...; `rest` begins with "/" or is empty.
  Static,   ///< Anything else; `rest` is the path.
};

struct Route {
  RouteKind kind = RouteKind::Static;
  std::string_view rest;  ///< Into `path`; still percent-encoded.
};

/// Names are matched byte by byte, before decoding: "/%77s/a" is no room.
[[nodiscard]] Route route(std::string_view path);

/// Whether a room may be called so: any UTF-8 text of 1 to `bytes_max` bytes without control characters, but "." and
/// "..".
/// @error InvalidArgument, TooLarge  one sentence: what is wrong and what a room id may be. Answer with 400.
[[nodiscard]] Result<void> check_room_id(std::string_view id, std::size_t bytes_max = 256);

/// The room that a path segment names, decoded once. No case folding, no normalisation.
/// @error InvalidArgument  one sentence: what is wrong and what a room id may be. Answer with 400.
[[nodiscard]] Result<std::string> decode_room_id(std::string_view encoded_segment, std::size_t bytes_max = 256);

/// A percent-encoded text of at most `bytes_max` bytes, decoded once; nothing: it is none of UTF-8 without control
/// characters.
[[nodiscard]] std::optional<std::string> decode_text(std::string_view encoded, std::size_t bytes_max);

/// A path of a file, decoded once, segment by segment: begins with "/", has no empty, "." or ".." segment
/// but perhaps an empty last one; a slash, backslash or control character may not be encoded in it.
/// @error InvalidArgument  one sentence. Answer with 400.
[[nodiscard]] Result<std::string> decode_file_path(std::string_view encoded_path);

}  // namespace jamsocket::http
