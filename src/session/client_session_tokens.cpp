// A session's part in who its client is: the first message that brings a token, and the token's end.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.hpp"
#include "session/client_session.hpp"
#include "session/expiry.hpp"
#include "ws/close_code.hpp"
#include "ws/frame.hpp"

namespace jamsocket::session {

namespace close_code = ws::close_code;

namespace {

// For who can no longer be answered with a status.
std::uint16_t close_code_of(int status) {
  switch (status) {
    case 401:
      return close_code::kUnauthorized;
    case 403:
      return close_code::kForbidden;
    case 404:
      return close_code::kNotFound;
    case 409:
      return close_code::kReplaced;
    case 500:
      return close_code::kInternalError;
    case 429:
    case 503:
      return close_code::kTryLater;
    default:
      return close_code::kPolicy;
  }
}

// A reason in a close frame has 123 bytes at most (RFC 6455 section 5.5), of whole characters.
std::string_view as_reason(std::string_view sentence) {
  constexpr std::size_t kReasonBytesMax = 123;
  if (sentence.size() <= kReasonBytesMax) {
    return sentence;
  }
  std::size_t end = kReasonBytesMax;
  while (end > 0 && (static_cast<unsigned char>(sentence[end]) & 0xC0U) == 0x80) {
    --end;
  }
  return sentence.substr(0, end);
}

}  // namespace

void ClientSession::can_return(std::string_view resume, const room::Telling& telling) {
  if (telling.by_header && !upgraded_) {
    // Before the empty line at its end.
    constexpr std::size_t kLineEnd = 2;
    std::string& response = handshake_->response;
    response.insert(response.size() - kLineEnd, fmt::format("Jamsocket-Resume: {}\r\n", resume));
  }
  if (telling.by_message) {
    handshake_->resume = resume;
  }
}

void ClientSession::send_upgrade() {
  if (!upgraded_) {
    upgraded_ = true;
    outbox_.push_last(host_.output().append(std::exchange(handshake_->response, {}), {}));
  }
}

void ClientSession::tell_resume() {
  if (!handshake_->resume.empty()) {
    const std::string told = fmt::format(R"({{"jamsocket":{{"client":{},"resume":"{}"}}}})",
                                         static_cast<std::uint32_t>(client_), handshake_->resume);
    outbox_.push_last(host_.output().append(ws::encode_frame(ws::Opcode::Text, told), {}));
  }
}

void ClientSession::close_instead_of(int status, std::string_view reason) {
  start_close(close_code_of(status), as_reason(reason));
}

void ClientSession::await_token(const TokenBudget& budget) {
  JAM_CHECK(state_ == State::Joining && room_ == nullptr);
  state_ = State::Awaiting;
  handshake_->budget = budget;
  send_upgrade();
  set_deadline(budget.timeout);
  if (!watched_ || reading_paused_) {
    reading_paused_ = false;
    watch();
  }
  mark_touched();
}

// The one message before the room's: what came with it waits until the room has decided.
void ClientSession::take_token(std::string_view message, std::span<const char> rest) {
  handshake_->unread.assign(rest.data(), rest.size());
  state_ = State::Joining;
  deadline_.reset();
  host_.token_came(*this, message);
}

void ClientSession::expire_in(Milliseconds from_now) {
  // A clock of nanoseconds ends before the years that a token may name.
  constexpr Milliseconds kCentury = std::chrono::hours(24 * 365 * 100);
  expiry_ = std::make_unique<Expiry>(*this);
  host_.timers().schedule(expiry_->node, host_.steady_now() + std::min(from_now, kCentury));
}

void ClientSession::expired() {
  if (state_ == State::Joining || state_ == State::Open) {
    host_.counters().add(Counter::TokensExpired);
    leave_room();
    if (state_ == State::Open) {
      start_close(close_code::kUnauthorized, "the token has expired");
    } else {
      reject(401, "The token has expired.");
    }
  }
}

// Before its token has come a client may send one text message, and little else.
void ClientSession::consume_awaiting(std::span<char> input) {
  std::size_t& left = handshake_->budget.bytes_max;
  const ws::ReaderLimits limits{.message_bytes_max = left, .fragments_max = 16};
  const std::size_t received = input.size();
  const ws::Inflation inflating = inflation();
  for (;;) {
    const ws::ReadStep step = reader_.next(input, limits, inflating);
    if (received - input.size() > left) {
      start_close(close_code::kTooBig, "too much came before a token");
      return;
    }
    switch (step.kind) {
      case ws::StepKind::Text:
        take_token(step.payload, input);
        return;
      case ws::StepKind::Binary:
        start_close(close_code::kUnsupportedData, "a token is text");
        return;
      case ws::StepKind::Ping:
        answer_ping(step.payload);
        continue;
      case ws::StepKind::Pong:
        continue;
      case ws::StepKind::Close:
        peer_closed(step);
        return;
      case ws::StepKind::Failure:
        protocol_failure(step);
        return;
      case ws::StepKind::NeedMore:
        left -= received;
        return;
    }
  }
}

}  // namespace jamsocket::session
