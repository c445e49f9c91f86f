// A session and its room: coming in, what the room tells it of its place there, and leaving.

#include <utility>

#include "base/check.hpp"
#include "http/upgrade.hpp"
#include "session/client_session.hpp"
#include "session/expiry.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::session {

namespace close_code = ws::close_code;

void ClientSession::join(room::Room& room, std::unique_ptr<service::ConnectInfo> info, const std::string& resume) {
  room_ = &room;
  set_deadline(host_.session_settings().join_timeout);
  client_ = room.join(*this, std::move(info), resume);
}

void ClientSession::admitted() {
  JAM_CHECK(state_ == State::Joining);
  state_ = State::Open;
  deadline_.reset();
  last_seen_ = host_.tick();
  if (const InboundLimits& limits = host_.session_settings().inbound; limits.are_on()) {
    inbound_ = std::make_unique<Inbound>(limits, [this] { go_on_reading(); });
  }
  send_upgrade();
  tell_resume();
  if (handshake_->unread.empty() && !stream_.has_ended()) {
    handshake_.reset();
  }
  if (!watched_ || reading_paused_) {
    reading_paused_ = false;
    watch();
  }
  mark_touched();
}

void ClientSession::subprotocol_accepted(std::string_view name) {
  JAM_CHECK(state_ == State::Joining);
  if (!upgraded_) {  // Who brings a token in the first message has had its answer.
    handshake_->response = http::with_subprotocol(handshake_->response, name);
  }
}

void ClientSession::refused(std::string_view reason) {
  room_ = nullptr;
  reject(403, reason.empty() ? std::string_view("The service refused this client.") : reason);
}

void ClientSession::room_failed() {
  room_ = nullptr;
  if (state_ == State::Joining) {
    reject(500, "The room could not take the client in: its service failed. The server's log says why.");
  } else if (state_ == State::Open) {
    start_close(close_code::kInternalError, "the room failed");
  } else if (state_ == State::Leaving) {
    say_last_and_linger();
  }
}

void ClientSession::room_unknown() {
  room_ = nullptr;
  reject(404, "The requested room does not exist.");
}

void ClientSession::unavailable(std::string_view reason) {
  room_ = nullptr;
  if (state_ == State::Joining) {
    turn_away(close_code::kTryLater, reason);
  } else if (state_ == State::Open) {
    start_close(close_code::kTryLater, reason);
  } else if (state_ == State::Leaving) {
    say_last_and_linger();
  }
}

void ClientSession::room_sleeps(room::RoomAsleep& asleep) {
  room_ = nullptr;
  asleep_ = &asleep;
}

void ClientSession::room_wakes(room::Room& room) {
  room_ = &room;
  asleep_ = nullptr;
}

void ClientSession::wake_room() {
  if (asleep_ != nullptr) [[unlikely]] {
    host_.wake(*asleep_);
  }
}

void ClientSession::close(std::uint16_t code, std::string_view reason) {
  room_ = nullptr;
  if (state_ == State::Open) {
    start_close(code, reason);
  } else if (state_ == State::Joining) {
    reject(code == close_code::kReplaced ? 409 : 503,
           reason.empty() ? std::string_view("The client was closed before it was let in.") : reason);
  } else if (state_ == State::Leaving) {
    say_last_and_linger();
  }
}

void ClientSession::left() {
  host_.counters().add(Counter::ClientsLeft);
  room_ = nullptr;
  if (state_ == State::Leaving) {
    say_last_and_linger();
  }
}

void ClientSession::leave_room() {
  if (asleep_ != nullptr && host_.forget_asleep(*asleep_, client_)) [[unlikely]] {
    asleep_ = nullptr;
    host_.counters().add(Counter::ClientsLeft);
    return;
  }
  wake_room();
  if (room_ != nullptr) {
    host_.counters().add(Counter::ClientsLeft);
    std::exchange(room_, nullptr)->leave(client_);
  }
}

}  // namespace jamsocket::session
