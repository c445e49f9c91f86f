// http/response.hpp
//
// An answer as plain data, and as bytes.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace jamsocket::http {

/// `headers` without Content-Length, Connection and Date: those are written by `serialise`.
struct Response {
  int status = 200;
  std::vector<Header> headers;
  std::string body;

  /// Adds a header. Ends the process on a name that is no token or a value with a control character:
  /// peer bytes belong in bodies only.
  Response& add(std::string_view name, std::string_view value);
  [[nodiscard]] std::string_view header(std::string_view name) const;  ///< Empty if there is none.
};

enum class AfterResponse : std::uint8_t { Close, KeepAlive };
enum class SendBody : std::uint8_t { Yes, No };  ///< No: the answer to HEAD, with the length it would have.

struct SerialiseOptions {
  AfterResponse after = AfterResponse::KeepAlive;
  SendBody body = SendBody::Yes;
  std::int64_t unix_ms = -1;  ///< For the Date header; negative: none.
};

/// "OK" for 200, and so on; empty for a status we never send.
[[nodiscard]] std::string_view reason_phrase(int status);

/// A response whose body is `text` as text/plain.
[[nodiscard]] Response text_response(int status, std::string_view text);

/// The whole answer: status line, headers, body.
[[nodiscard]] std::string serialise(const Response& response, const SerialiseOptions& options);

/// Status line and headers for a body of `body_bytes` that is sent by other means; `response.body` is ignored.
[[nodiscard]] std::string serialise_head(const Response& response, std::uint64_t body_bytes,
                                         const SerialiseOptions& options);

/// "Sun, 06 Nov 1994 08:49:37 GMT".
/// @source RFC 9110 section 5.6.7
[[nodiscard]] std::string http_date(std::int64_t unix_s);

}  // namespace jamsocket::http
