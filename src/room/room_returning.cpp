// A room whose clients may come back: see returning.hpp.

#include <utility>

#include "base/check.hpp"
#include "room/room.hpp"

namespace jamsocket::room {
namespace {
// With the others of ws/close_code.hpp, which a room does not know.
constexpr std::uint16_t kReplaced = 4409;
}  // namespace

// The connection stands for the client from here on, instead of another one or of none.
void Room::take_place(ClientId client, ClientLink& link) {
  const auto member = find(client);
  JAM_CHECK(member != members_.end());
  ClientLink* const before = std::exchange(member->link, &link);
  returning_->connection_changed(client);
  link.numbered(client);
  link.can_return(returning_->resume_token(client), settings_.returning.telling);
  const bool was_absent = returning_->is_absent(client);
  if (!was_absent) {
    counters_.add(Counter::ClientsReplaced);
    before->close(kReplaced, "the client came back by another connection");
  }
  if (!returning_->is_admitted(client)) {
    return;  // `connect` has not run yet; it lets this one in.
  }
  counters_.add(Counter::ClientsReturned);
  link.admitted();
  if (was_absent) {
    returning_->end_absence(client, link);
  }
}

// Whether the client's place is kept when its connection ends.
bool Room::stays(ClientId client) const {
  return returning_ != nullptr && !closing_ && !ended_ && returning_->is_admitted(client) &&
         !returning_->is_absent(client);
}

void Room::go_absent(Member& member) { member.link = &returning_->begin_absence(member.client); }

void Room::absence_over(ClientId client) {
  const auto gone = forget(client);
  JAM_CHECK(gone.has_value());
  add_event(service::EventKind::Disconnect, client, {});
}

// Takes marks off the front of the inbox, and timers that were set anew or cancelled when they were due already.
// @return whether an event is there.
bool Room::pass_what_is_no_event() {
  while (running_ != nullptr) {
    while (!running_->exhausted()) {
      if (timers_void_ > 0 && running_->next_is_timer()) {
        --timers_void_;
        running_->skip();
        continue;
      }
      if (!running_->next_is_mark()) {
        return true;
      }
      const ClientId client = running_->take_mark();
      if (durable_ && durable_->gate.holds_back()) {
        // Its last answers wait there: it goes after them.
        durable_->gate.hold({.ticket = durable_->last_ticket,
                             .what = Gated::What::Mark,
                             .kind = service::EventKind::Disconnect,
                             .client = client,
                             .effects = service::Effects()});
      } else {
        pass_mark(client);
      }
    }
    host_.inboxes().give_back(std::move(running_));
    running_ = std::move(waiting_);
  }
  if (readers_paused_) {
    resume_readers();
  }
  check_idle();
  return false;
}

void Room::pass_mark(ClientId client) {
  const auto member = find(client);
  if (member == members_.end() || !returning_->left_in_order(client, member->link)) {
    return;  // It was forgotten, or is back already.
  }
  ClientLink* const link = member->link;
  go_absent(*member);
  link->left();
}

}  // namespace jamsocket::room
