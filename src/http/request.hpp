// http/request.hpp
//
// One HTTP/1.x request as plain data, and how its headers are asked for.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jamsocket::http {

/// Method names are case-sensitive: `get` is Other.
enum class Method : std::uint8_t { Get, Head, Post, Put, Delete, Connect, Options, Trace, Patch, Other };

struct Header {
  std::string name;
  std::string value;  ///< Without the white space around it.
  friend bool operator==(const Header&, const Header&) = default;
};

/// ASCII letters compared without regard to case, all else byte by byte.
[[nodiscard]] bool equal_ignoring_case(std::string_view left, std::string_view right);

struct Request {
  Method method = Method::Other;
  std::uint8_t version_minor = 1;  ///< HTTP/1.0 or HTTP/1.1.
  bool keep_alive = true;          ///< What the client asked for, its version's default included.
  bool has_body = false;           ///< A body was announced, even an empty chunked one.
  std::string method_text;
  std::string target;           ///< As sent: "/ws/a?b=c" or "http://host/ws/a?b=c".
  std::string authority;        ///< Whom it is for, "host" or "host:port": from an absolute target, else Host.
  std::string path;             ///< Still percent-encoded; begins with "/".
  std::string query;            ///< Without its "?", still percent-encoded.
  std::vector<Header> headers;  ///< In the order sent.
  std::string body;             ///< Without its chunks' framing; empty unless RequestLimits::body is Keep.

  /// The first header of that name, whatever its case.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  [[nodiscard]] std::size_t header_count(std::string_view name) const;
  /// All values of that name, joined by ", ".
  /// @source RFC 9110 section 5.3
  [[nodiscard]] std::string header_joined(std::string_view name) const;
  /// Whether the comma-separated lists of that name hold `token`, whatever its case.
  [[nodiscard]] bool header_lists(std::string_view name, std::string_view token) const;
};

}  // namespace jamsocket::http
