// http/conditional.hpp
//
// Requests with an "if", and requests for a part: what the client has already, what it still wants.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/request.hpp"

namespace jamsocket::http {

/// What tells one version of a representation from another.
struct Validators {
  std::string etag;  ///< A strong one, with its quotes.
  std::int64_t modified_unix_s = 0;
};

enum class Precondition : std::uint8_t {
  Go,
  NotModified,  ///< 304
  Failed,       ///< 412
};

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since in their order. A date that is
/// none is ignored.
/// @source RFC 9110 section 13.2.2
[[nodiscard]] Precondition evaluate_preconditions(const Request& request, const Validators& current);

struct RangeRequest {
  enum class Kind : std::uint8_t {
    Whole,          ///< No range, one we ignore (several, another unit, bad syntax), or If-Range says no.
    Part,           ///< 206, with `offset` and `bytes`.
    Unsatisfiable,  ///< 416
  };
  Kind kind = Kind::Whole;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< At least 1 for a Part.
  friend bool operator==(const RangeRequest&, const RangeRequest&) = default;
};

/// Which bytes of `size_bytes` a GET wants. Several ranges at once are answered with the whole: allowed, and
/// a thousand overlapping ones cost nothing.
/// @source RFC 9110 sections 13.1.5 and 14.2
[[nodiscard]] RangeRequest evaluate_range(const Request& request, const Validators& current, std::uint64_t size_bytes);

/// Seconds since 1970 of a date in any of the three forms, or nullopt.
/// @source RFC 9110 section 5.6.7
[[nodiscard]] std::optional<std::int64_t> parse_http_date(std::string_view text);

}  // namespace jamsocket::http
