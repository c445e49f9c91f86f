// http/head_scanner.hpp
//
// Holds each byte of a request's head to the grammar and the limits, as it arrives.
//
// What it lets through has one meaning only; what that is, others find out (request_parser.cpp).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/counters.hpp"
#include "http/request_parser.hpp"

namespace jamsocket::http {

struct HeadViolation {
  int http_status = 0;
  std::string_view reason;         ///< Static.
  std::optional<Counter> limit{};  ///< Which limit it is beyond, if it is one.
};

class HeadScanner {
 public:
  explicit HeadScanner(const RequestLimits& limits) : limits_(limits) {}

  /// Takes bytes up to the end of the head, and says how many.
  /// @return how many bytes of `input` belong to the head; less than all of them once it is `complete`.
  [[nodiscard]] std::size_t scan(std::string_view input);

  [[nodiscard]] bool complete() const { return state_ == State::Complete; }
  [[nodiscard]] const std::optional<HeadViolation>& violation() const { return violation_; }
  /// Line ends before the request line, which are not part of it.
  [[nodiscard]] std::size_t leading_bytes() const { return leading_bytes_; }

 private:
  enum class State : std::uint8_t {
    Start,
    StartLf,
    Method,
    Target,
    Version,
    RequestLineLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Complete
  };

  void step(char c);
  void step_request_line(char c);
  void step_version(char c);
  void step_header(char c);
  void begin_header(char c);
  void expect_lf(char c, State next);
  void refuse(int http_status, std::string_view reason, std::optional<Counter> limit = {});

  RequestLimits limits_;
  std::optional<HeadViolation> violation_;
  std::size_t leading_bytes_ = 0;
  std::size_t line_bytes_ = 0;     // Of the request line so far.
  std::size_t part_bytes_ = 0;     // Of its method, target or version so far.
  std::size_t headers_bytes_ = 0;  // Line ends included.
  std::size_t headers_ = 0;
  char major_ = '1';
  char minor_ = '1';
  State state_ = State::Start;
};

}  // namespace jamsocket::http
