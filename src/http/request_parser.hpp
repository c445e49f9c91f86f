// http/request_parser.hpp
//
// Bytes as they come become a Request, or the status with which to refuse them.
//
// Stricter than most: line ends are CRLF, nothing is folded, nothing is guessed. A scanner of ours
// holds every byte of the head to the grammar and the limits as it arrives; Boost.Beast's parser then
// takes the head apart. A body is read to its end and dropped, unless the limits say to keep it. No I/O.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/counters.hpp"
#include "http/request.hpp"

namespace jamsocket::http {

struct RequestLimits {
  std::size_t request_line_bytes_max = 2048;            ///< Without its line end. Beyond: 414.
  std::size_t headers_bytes_max = 8192;                 ///< All header lines with their line ends. Beyond: 431.
  std::size_t headers_max = 64;                         ///< Header lines. Beyond: 431.
  std::size_t body_bytes_max = std::size_t{64} << 10U;  ///< Of a body. Beyond: 413.
  enum class Body : unsigned char { Drop, Keep } body = Body::Drop;  ///< Keep: Request::body has it.
  /// Instead of `body_bytes_max`, for a request whose head has been read; empty: it is the same for all.
  std::function<std::size_t(const Request&)> body_bytes_max_for{};
};

enum class ParseStatus : unsigned char {
  NeedMore,  ///< All of the input is consumed.
  Complete,  ///< The request is whole; the rest of the input belongs to what follows.
  Failure,   ///< Answer with `http_status` and close: nothing after it can be trusted.
};

struct ParseStep {
  ParseStatus status = ParseStatus::NeedMore;
  std::size_t consumed_bytes = 0;  ///< Of the input of this call.
  int http_status = 0;             ///< Failure: 400, 413, 414, 417, 431, 501 or 505.
  std::string_view reason;         ///< Failure: one sentence for the body of the answer; static.
  std::optional<Counter> limit{};  ///< Failure: which limit it is beyond, if it is one.
};

class RequestParser {
 public:
  explicit RequestParser(const RequestLimits& limits = {});
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) noexcept;
  ~RequestParser();

  /// Takes the next bytes. Not to be called again after Complete (before `reset`) or Failure.
  /// @source RFC 9112 sections 2 to 7; RFC 9110 sections 5 and 7.2
  [[nodiscard]] ParseStep feed(std::string_view input);

  /// The whole request; after Complete. May be moved from. After Failure, its method as far as that was there.
  [[nodiscard]] Request& request();
  [[nodiscard]] const Request& request() const;

  /// Whether any byte of a request has come; false right after construction and `reset`.
  [[nodiscard]] bool has_begun() const;

  /// Whether the head is whole, and was allowed, and the body is not: `request` has what the head says.
  [[nodiscard]] bool is_in_body() const;

  /// Whether the client waits for 100 (Continue) before it sends the body; true once.
  /// @source RFC 9110 section 10.1.1
  [[nodiscard]] bool take_expectation();

  /// Makes ready for the next request of the same connection.
  void reset();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jamsocket::http
