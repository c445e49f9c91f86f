#include "http/head_scanner.hpp"

#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

constexpr std::size_t kMethodBytesMax = 32;
constexpr std::string_view kVersionShape = "HTTP/d.d";  // d: a digit.

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Tab, space, visible ASCII and the opaque bytes above it.
bool is_value_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}

}  // namespace

std::size_t HeadScanner::scan(std::string_view input) {
  std::size_t taken = 0;
  while (taken < input.size() && !violation_ && state_ != State::Complete) {
    step(input[taken]);
    ++taken;
  }
  return taken;
}

void HeadScanner::step(char c) {
  switch (state_) {
    case State::Start:
      if (c == '\r' && leading_bytes_ == 0) {
        leading_bytes_ = 2;  // One empty line is forgiven: RFC 9112 section 2.2.
        state_ = State::StartLf;
        return;
      }
      state_ = State::Method;
      return step_request_line(c);
    case State::StartLf:
      return expect_lf(c, State::Start);
    case State::Method:
    case State::Target:
    case State::Version:
      return step_request_line(c);
    case State::RequestLineLf:
      return expect_lf(c, State::LineStart);
    case State::LineStart:
    case State::Name:
    case State::Value:
    case State::ValueLf:
      return step_header(c);
    case State::EndLf:
      return expect_lf(c, State::Complete);
    case State::Complete:
      return;
  }
}

void HeadScanner::step_request_line(char c) {
  if (state_ == State::Version && c == '\r') {
    return step_version(c);
  }
  if (++line_bytes_ > limits_.request_line_bytes_max) {
    return refuse(414, "The request line is too long.", Counter::LimitRequestLine);
  }
  if (state_ == State::Version) {
    return step_version(c);
  }
  if (c == ' ') {
    if (part_bytes_ == 0) {
      return refuse(400, "The request line needs a method, a target and a version, one space between them.");
    }
    state_ = state_ == State::Method ? State::Target : State::Version;
    part_bytes_ = 0;
    return;
  }
  ++part_bytes_;
  if (state_ == State::Method) {
    if (!is_token_char(c)) {
      return refuse(400, "The request does not begin with a method.");
    }
    if (part_bytes_ > kMethodBytesMax) {
      return refuse(501, "The method is not known here.");
    }
    return;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte <= 0x20 || byte >= 0x7F || c == '#') {
    return refuse(400, "The request target may hold visible ASCII only, and no fragment.");
  }
}

void HeadScanner::step_version(char c) {
  if (c == '\r') {
    if (part_bytes_ != kVersionShape.size()) {
      return refuse(400, "The request line must end with HTTP/1.1 or HTTP/1.0.");
    }
    if (major_ != '1' || minor_ > '1') {
      return refuse(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    }
    state_ = State::RequestLineLf;
    return;
  }
  const char shape = part_bytes_ < kVersionShape.size() ? kVersionShape[part_bytes_] : '\0';
  if (shape == 'd' ? !is_digit(c) : c != shape) {
    return refuse(400, "The request line must end with HTTP/1.1 or HTTP/1.0.");
  }
  if (shape == 'd') {
    (part_bytes_ == kVersionShape.size() - 1 ? minor_ : major_) = c;
  }
  ++part_bytes_;
}

void HeadScanner::step_header(char c) {
  if (state_ == State::LineStart && c == '\r') {
    state_ = State::EndLf;
    return;
  }
  if (++headers_bytes_ > limits_.headers_bytes_max) {
    return refuse(431, "The headers are too long.", Counter::LimitHeadersBytes);
  }
  switch (state_) {
    case State::LineStart:
      return begin_header(c);
    case State::Name:
      if (c == ':') {
        state_ = State::Value;
      } else if (!is_token_char(c)) {
        refuse(400, "A header needs a name of letters, digits and a few signs, and a colon right after it.");
      }
      return;
    case State::Value:
      if (c == '\r') {
        state_ = State::ValueLf;
      } else if (!is_value_char(c)) {
        refuse(400, "A header's value holds a control character, or its line does not end with CRLF.");
      }
      return;
    default:
      return expect_lf(c, State::LineStart);
  }
}

void HeadScanner::begin_header(char c) {
  if (c == ' ' || c == '\t') {
    return refuse(400, "A header may not be folded over several lines.");
  }
  if (!is_token_char(c)) {
    return refuse(400, "A header needs a name of letters, digits and a few signs, and a colon right after it.");
  }
  if (++headers_ > limits_.headers_max) {
    return refuse(431, "There are too many headers.", Counter::LimitHeaders);
  }
  state_ = State::Name;
}

void HeadScanner::expect_lf(char c, State next) {
  if (c != '\n') {
    return refuse(400, "A line must end with CRLF.");
  }
  state_ = next;
}

void HeadScanner::refuse(int http_status, std::string_view reason, std::optional<Counter> limit) {
  violation_ = HeadViolation{http_status, reason, limit};
}

}  // namespace jamsocket::http
