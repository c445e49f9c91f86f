// http/requests_for_test.hpp
//
// For tests and fuzzers: what the parser makes of some bytes, however they are cut.

#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "http/request_parser.hpp"

namespace jamsocket::http::testing {

struct Parsed {
  ParseStatus status = ParseStatus::NeedMore;
  int http_status = 0;
  std::string_view reason;
  Request request;                 ///< If Complete; its method, if Failure.
  std::size_t consumed_bytes = 0;  ///< Of all the bytes; if Complete.
};

/// Feeds `bytes` to a new parser, `read_bytes` at a time.
inline Parsed parse_in_pieces(std::string_view bytes, std::size_t read_bytes, const RequestLimits& limits = {}) {
  RequestParser parser(limits);
  Parsed parsed;
  for (std::size_t at = 0; at < bytes.size(); at += read_bytes) {
    const ParseStep step = parser.feed(bytes.substr(at, read_bytes));
    if (step.status == ParseStatus::Failure) {
      return {.status = step.status,
              .http_status = step.http_status,
              .reason = step.reason,
              .request = std::move(parser.request()),
              .consumed_bytes = 0};
    }
    if (step.status == ParseStatus::Complete) {
      return {.status = step.status,
              .http_status = 0,
              .reason = {},
              .request = std::move(parser.request()),
              .consumed_bytes = at + step.consumed_bytes};
    }
  }
  return parsed;
}

inline Parsed parse(std::string_view bytes, const RequestLimits& limits = {}) {
  return parse_in_pieces(bytes, bytes.size() + 1, limits);
}

}  // namespace jamsocket::http::testing
