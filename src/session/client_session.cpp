#include "session/client_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "http/response.hpp"
#include "session/expiry.hpp"
#include "ws/close_code.hpp"
#include "ws/frame.hpp"

namespace jamsocket::session {

namespace close_code = ws::close_code;

namespace {

// From so many events that wait on, a room's clients are read a little at a time: what more they say would wait as
// well, and taking it in holds up others (16,000 of the shortest messages in one read: 0.3 ms).
constexpr std::size_t kEventsBehind = 256;
constexpr std::size_t kBytesBehind = std::size_t{8} << 10U;

// A read that brings less than there was room for has emptied the socket (epoll(7)), but where one of these says
// otherwise: behind it lies the peer's end, or it stopped at a mark of urgent data.
constexpr std::uint32_t kMoreThanWasRead = std::uint32_t{EPOLLRDHUP} | std::uint32_t{EPOLLPRI};

}  // namespace

ClientSession::ClientSession(Upgraded upgraded, SessionHost& host)
    : host_(host),
      stream_(std::move(upgraded.stream)),
      handshake_(std::make_unique<Handshake>(std::move(upgraded.response), std::move(upgraded.unread))),
      origin_(std::move(upgraded.origin)),
      deflate_(upgraded.deflate),
      last_seen_(host.tick()),
      last_ping_(host.tick()),
      watched_(upgraded.watched == Watched::Yes) {
  if (watched_) {
    watch();
  }
  if (deflate_ && (deflate_->server_takeover == ws::ContextTakeover::Yes ||
                   deflate_->client_takeover == ws::ContextTakeover::Yes)) {
    contexts_ = std::make_unique<Contexts>();
    if (deflate_->server_takeover == ws::ContextTakeover::Yes) {
      contexts_->deflater.emplace(host_.deflater().room());
      contexts_->bytes += ws::deflater_bytes(*deflate_);
    }
    if (deflate_->client_takeover == ws::ContextTakeover::Yes) {
      contexts_->inflater.emplace(host_.inflater().room());
      contexts_->bytes += ws::inflater_bytes(*deflate_);
    }
    host_.counters().add(Counter::DeflateContextBytes, contexts_->bytes);
  }
}

std::unique_ptr<ClientSession> ClientSession::make(Upgraded upgraded, SessionHost& host) {
  void* const place = host.memory().allocate(sizeof(ClientSession), alignof(ClientSession));
  return std::unique_ptr<ClientSession>(::new (place) ClientSession(std::move(upgraded), host));
}

void ClientSession::operator delete(ClientSession* session, std::destroying_delete_t) {
  std::pmr::memory_resource& memory = session->host_.memory();
  session->~ClientSession();
  memory.deallocate(session, sizeof(ClientSession), alignof(ClientSession));
}

ClientSession::~ClientSession() {
  host_.counters().subtract(Counter::OutboundBytesWaiting, outbox_.counted_bytes());
  if (contexts_ != nullptr) {
    host_.counters().subtract(Counter::DeflateContextBytes, contexts_->bytes);
  }
}

ws::Inflation ClientSession::inflation() {
  if (!deflate_) [[likely]] {
    return {};
  }
  const bool has_own = contexts_ != nullptr && contexts_->inflater;
  return {.inflater = has_own ? &*contexts_->inflater : &host_.inflater(), .agreement = *deflate_};
}

void ClientSession::resume_reading() {
  if (reading_paused_ && state_ != State::Gone) {
    reading_paused_ = false;
    watch();
  }
}

room::LinkFacts ClientSession::facts() const {
  return {.remote_address = remote_address(), .queued_bytes = outbox_.queued_bytes()};
}

void ClientSession::keep(KeyedLimit::Place subjects_place) {
  if (origin_ == nullptr) {
    origin_ = std::make_unique<Origin>();
  }
  origin_->subjects_place = std::move(subjects_place);
}

std::string ClientSession::remote_address() const {
  const bool is_told = origin_ != nullptr && origin_->address.is_known();
  return is_told ? origin_->address.text() : io::peer_of(stream_.socket()).text();
}

void ClientSession::end_turn() {
  touched_ = false;
  if (handshake_ != nullptr && (state_ == State::Open || state_ == State::Awaiting)) [[unlikely]] {
    std::string unread = std::exchange(handshake_->unread, {});
    if (state_ == State::Open) {
      handshake_.reset();
    }
    consume(unread, room::PayloadStays::ForTheCall);
    notice_end();
  }
  if (overflowed_ && (state_ == State::Open || state_ == State::Leaving)) {
    host_.counters().add(Counter::ClientsSlow);
    const bool are_many = outbox_.queued_messages() >= host_.session_settings().outbox.messages_max;
    host_.limit_hit(are_many ? Counter::LimitOutboundMessages : Counter::LimitOutboundBytes, *this);
    leave_and_close(close_code::kTryLater, "too slow: too much is waiting to be read");
  }
  if (state_ != State::Gone) {
    flush(Outbox::Writable::Unknown);
  }
}

void ClientSession::heartbeat(Tick now) {
  const SessionSettings& settings = host_.session_settings();
  if (state_ != State::Open) {
    return;
  }
  if (inbound_ != nullptr && inbound_->is_waiting()) {
    last_seen_ = now;  // The silence is ours: for as long as it is not read it may have said anything.
  }
  const Tick silent_for = now - last_seen_;
  if (silent_for >= settings.dead_after) {
    host_.limit_hit(Counter::ClientsTimedOut, *this);
    drop();
    return;
  }
  if (silent_for >= settings.ping_after && now - last_ping_ >= settings.ping_after && !outbox_.is_blocked()) {
    last_ping_ = now;
    push_slice(host_.output().append(ws::encode_frame(ws::Opcode::Ping, {}), {}));
  }
}

void ClientSession::leave_and_close(std::uint16_t code, std::string_view reason) {
  leave_room();
  if (state_ == State::Open || state_ == State::Awaiting) {
    start_close(code, reason);
  } else if (state_ == State::Leaving) {
    say_last_and_linger();
  } else if (state_ == State::Joining) {
    reject(503, reason);
  }
}

void ClientSession::drop() {
  if (state_ == State::Gone) {
    return;
  }
  if (state_ == State::Open || state_ == State::Awaiting) {
    host_.counters().closed(CloseBy::Client, 0);
  }
  leave_room();
  state_ = State::Gone;
  deadline_.reset();
  expiry_.reset();
  stream_.close();  // The event loop forgets it with that.
  host_.retire(*this);
}

void ClientSession::on_ready(std::uint32_t events) {
  if (state_ == State::Gone) {
    return;
  }
  if ((events & EPOLLIN) != 0) {
    read();
    if ((events & kMoreThanWasRead) != 0) [[unlikely]] {
      look_again();
    }
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    drop();
  }
  if ((events & EPOLLOUT) != 0 && state_ != State::Gone) {
    flush(Outbox::Writable::Yes);
  }
}

void ClientSession::on_timer() {
  switch (state_) {
    case State::Awaiting:
      host_.counters().add(Counter::TokensRefused);
      start_close(close_code::kUnauthorized, "no token came in time");
      return;
    case State::Joining:
      host_.limit_hit(Counter::HandshakeTimeouts, *this);
      leave_and_close(close_code::kTryLater, "The room did not answer in time.");
      return;
    case State::Open:
      host_.counters().add(Counter::ProtocolErrors);
      host_.limit_hit(Counter::LimitMessageTimeout, *this);
      leave_and_close(close_code::kPolicy, "the message took too long to complete");
      return;
    case State::Leaving:
      leave_room();
      say_last_and_linger();
      return;
    case State::Closing:
      host_.limit_hit(Counter::LimitCloseTimeout, *this);
      [[fallthrough]];
    case State::Lingering:
      // The peer had its time: what it has not read is dropped.
      stream_.reset();
      drop();
      return;
    case State::Gone:
      return;
  }
}

void ClientSession::read() {
  if (state_ == State::Lingering || state_ == State::Leaving) {
    discard_input();
    return;
  }
  if (state_ == State::Joining || (room_ != nullptr && room_->inbox_is_full()) ||
      (inbound_ != nullptr && inbound_->is_waiting())) {
    // What it sent waits in the kernel until the room has decided, or has caught up.
    pause_reading();
    return;
  }
  std::span<char> buffer = host_.receive_buffer();
  reads_little_ = reads_little_ || (room_ != nullptr && room_->events_waiting() >= kEventsBehind);
  if (inbound_ != nullptr || reads_little_) [[unlikely]] {
    const std::size_t bytes_max = reads_little_ ? kBytesBehind : Inbound::kReadBytesMax;
    buffer = buffer.first(std::min(buffer.size(), std::max(bytes_max, stream_.read_bytes_min())));
  }
  const io::IoResult got = stream_.read(buffer);
  reads_little_ = reads_little_ && got.bytes == buffer.size();  // Less: it has said all that it had to say.
  switch (got.status) {
    case io::IoStatus::Done:
      last_seen_ = host_.tick();
      host_.received(got.bytes);
      if (inbound_ != nullptr) [[unlikely]] {
        inbound_->spend_bytes(got.bytes, host_.steady_now());
      }
      consume(buffer.first(got.bytes), room::PayloadStays::ForTheTurn);
      notice_end();
      if (got.bytes == buffer.size()) [[unlikely]] {
        look_again();
      }
      return;
    case io::IoStatus::WouldBlock:
      return;
    case io::IoStatus::Closed:
    case io::IoStatus::Failed:
      if (stream_.asked_too_often()) {
        host_.limit_hit(Counter::LimitKeyUpdates, *this);
      }
      drop();
      return;
  }
}

void ClientSession::pause_reading() {
  reading_paused_ = true;
  watch();
}

// Where a client's rate is limited, after each thing it said: whether the rest of what was read has to wait.
bool ClientSession::must_pause(std::span<char> rest, SteadyTime now) {
  const std::optional<Counter> hit = inbound_->over_limit(now);
  if (!hit) [[likely]] {
    return false;
  }
  host_.limit_hit(*hit, *this);
  inbound_->hold(rest, now, host_.timers());
  pause_reading();
  return true;
}

void ClientSession::go_on_reading() {
  std::string held = inbound_->take_held();
  if (state_ != State::Open && state_ != State::Closing) {
    return;
  }
  resume_reading();
  consume(held, room::PayloadStays::ForTheCall);
  notice_end();
}

void ClientSession::discard_input() {
  const std::span<char> buffer = host_.receive_buffer();
  const io::IoResult got = stream_.read(buffer);
  if (got.status == io::IoStatus::Closed || got.status == io::IoStatus::Failed) {
    drop();
  } else if (got.bytes == buffer.size()) {
    look_again();
  }
}

// After a read that left something: there is no event for what was there before.
void ClientSession::look_again() {
  if (state_ != State::Gone && !reading_paused_) {
    watch();
  }
}

// `stays`: of the input.
void ClientSession::consume(std::span<char> input, room::PayloadStays stays) {
  if (state_ == State::Awaiting) [[unlikely]] {
    consume_awaiting(input);
    return;
  }
  const ws::ReaderLimits& limits = host_.session_settings().reader;
  Counters& counters = host_.counters();
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const ws::Inflation inflating = inflation();
  const SteadyTime now = inbound_ != nullptr ? host_.steady_now() : SteadyTime();
  for (;;) {
    const ws::ReadStep step = reader_.next(input, limits, inflating);
    switch (step.kind) {
      case ws::StepKind::Text:
      case ws::StepKind::Binary:
        if (room_ == nullptr) [[unlikely]] {
          wake_room();
        }
        if (room_ != nullptr) [[likely]] {
          counters.add(Counter::MessagesIn);
          // A message that came in pieces, or compressed, lies elsewhere, and not for long.
          const bool is_in_input = step.payload.data() >= begin && step.payload.data() < end;
          room_->message(step.kind == ws::StepKind::Text ? service::EventKind::Text : service::EventKind::Binary,
                         client_, step.payload, is_in_input ? stays : room::PayloadStays::ForTheCall);
        }
        break;
      case ws::StepKind::Ping:
        answer_ping(step.payload);
        break;
      case ws::StepKind::Pong:
        break;
      case ws::StepKind::Close:
        peer_closed(step);
        return;
      case ws::StepKind::Failure:
        protocol_failure(step);
        return;
      case ws::StepKind::NeedMore:
        update_message_deadline();
        if (inbound_ != nullptr) [[unlikely]] {
          (void)must_pause({}, now);
        }
        return;
    }
    if (inbound_ != nullptr) [[unlikely]] {
      inbound_->spend_message(now);
      if (must_pause(input, now)) {
        return;
      }
    }
  }
}

// The peer has ended its side without a Close frame. What it said before is answered in order; without TLS its end
// comes by itself, with the next read. What has to wait, by its rate, comes before its end.
void ClientSession::notice_end() {
  if (!stream_.has_ended()) [[likely]] {
    return;
  }
  if (inbound_ != nullptr && inbound_->is_waiting()) {
    return;
  }
  if (state_ == State::Open) {
    host_.counters().closed(CloseBy::Client, 0);
    leave_with({});
  } else if (state_ == State::Closing || state_ == State::Awaiting) {
    drop();
  }
}

void ClientSession::answer_ping(std::string_view payload) {
  if (state_ != State::Open && state_ != State::Awaiting) {
    return;
  }
  std::string pong = ws::encode_frame(ws::Opcode::Pong, payload);
  // To a peer that sends pings and does not read, one answer is owed: the latest (RFC 6455 section 5.5.3).
  if (outbox_.is_blocked()) {
    outbox_.set_pending_pong(std::move(pong));
  } else {
    push_slice(host_.output().append(pong, {}));
  }
}

void ClientSession::peer_closed(const ws::ReadStep& step) {
  if (state_ == State::Closing) {
    drop();
    return;
  }
  host_.counters().closed(CloseBy::Client, step.code == 0 ? close_code::kNoStatus : step.code);
  const std::string answer =
      ws::encode_close_frame(step.code == 0 ? std::nullopt : std::optional<std::uint16_t>(step.code));
  leave_with(answer);
}

void ClientSession::protocol_failure(const ws::ReadStep& step) {
  if (state_ == State::Closing) {
    drop();
    return;
  }
  host_.counters().add(Counter::ProtocolErrors);
  host_.counters().closed(CloseBy::Server, step.code);
  if (state_ == State::Open && (step.code == close_code::kTooBig || step.code == close_code::kPolicy)) {
    host_.limit_hit(step.code == close_code::kTooBig ? Counter::LimitMessageBytes : Counter::LimitFragments, *this);
  }
  host_.logger().debug("session.protocol_error", {{"close_code", step.code}, {"reason", step.payload}});
  leave_with(ws::encode_close_frame(step.code, step.payload));
}

// What the peer said before it closed or broke the rules is answered before our last frame.
void ClientSession::leave_with(std::string last_frame) {
  state_ = State::Leaving;
  last_frame_ = std::make_unique<std::string>(std::move(last_frame));
  wake_room();
  if (room_ == nullptr) {
    say_last_and_linger();
    return;
  }
  set_deadline(host_.session_settings().close_timeout);
  resume_reading();
  room_->leave_in_order(client_);
}

void ClientSession::say_last_and_linger() {
  if (!last_frame_->empty()) {
    outbox_.push_last(host_.output().append(*last_frame_, {}));
  }
  last_frame_.reset();
  linger();
}

void ClientSession::reject(int status, std::string_view reason) {
  JAM_CHECK(state_ == State::Joining);
  if (upgraded_) {
    close_instead_of(status, reason);
    return;
  }
  host_.counters().add(Counter::HttpErrors);
  const http::SerialiseOptions closing{.after = http::AfterResponse::Close};
  http::Response response = http::text_response(status, reason);
  if (status == 401) {
    response.add("WWW-Authenticate", "Bearer");  // RFC 9110 section 15.5.2 wants it.
  }
  outbox_.push_last(host_.output().append(http::serialise(response, closing), {}));
  handshake_.reset();
  linger();
  watch();
}

void ClientSession::turn_away(std::uint16_t code, std::string_view reason) {
  admitted();
  start_close(code, reason);
}

void ClientSession::start_close(std::uint16_t code, std::string_view reason) {
  state_ = State::Closing;
  expiry_.reset();
  host_.counters().closed(CloseBy::Server, code);
  outbox_.push_last(host_.output().append(ws::encode_close_frame(code, reason), {}));
  set_deadline(host_.session_settings().close_timeout);
  resume_reading();
  mark_touched();
}

void ClientSession::linger() {
  state_ = State::Lingering;
  set_deadline(host_.session_settings().close_timeout);
  resume_reading();
  mark_touched();
}

void ClientSession::flush(Outbox::Writable writable) {
  const Outbox::Flush flushed = outbox_.flush(stream_, host_.output(), host_.counters(), writable);
  if (flushed == Outbox::Flush::Failed) {
    drop();
    return;
  }
  const bool blocked = flushed == Outbox::Flush::Blocked;
  if (blocked != wants_writable_) {
    wants_writable_ = blocked;
    watch();
  }
  if (!blocked && state_ == State::Lingering && !write_ended_) {
    write_ended_ = true;
    stream_.shut_down_writing();
    if (stream_.has_ended()) {
      drop();
    }
  }
}

// Tells the event loop what the session waits for, and so asks for an event on what is there already.
void ClientSession::watch() {
  // Of what changes only: the kernel need not look again at a socket that was just read. Not over TLS, where what was
  // read does not show whether the socket holds more.
  const std::uint32_t changes_only = stream_.is_tls() ? 0U : std::uint32_t{EPOLLET};
  const std::uint32_t events = (reading_paused_ ? 0U : std::uint32_t{EPOLLIN} | kMoreThanWasRead) |
                               (wants_writable_ ? std::uint32_t{EPOLLOUT} : 0U) | changes_only;
  if (watched_) {
    host_.loop().change(stream_.socket(), events, *this);
    return;
  }
  const Result<void> added = host_.loop().add(stream_.socket(), events, *this);
  if (added) {
    watched_ = true;
  } else {
    host_.logger().error("session.not_watched", {{"reason", added.error().message}});
    // Not dropped on the spot: the room may be in the middle of its members.
    set_deadline(Milliseconds{0});
    state_ = State::Lingering;
  }
}

void ClientSession::update_message_deadline() {
  if (state_ != State::Open) {
    return;
  }
  if (!reader_.mid_message()) {
    deadline_.reset();
  } else if (deadline_ == nullptr) {
    set_deadline(host_.session_settings().message_timeout);
  }
}

void ClientSession::set_deadline(Milliseconds from_now) {
  if (deadline_ == nullptr) {
    deadline_ = std::make_unique<io::TimerNode>(*this);
  }
  host_.timers().schedule(*deadline_, host_.steady_now() + from_now);
}

}  // namespace jamsocket::session
