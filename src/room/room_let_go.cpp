// How a durable room lets go of what is stored of it, for somebody who is about to change that: whatever it is doing,
// no event of it is recorded any more, and it ends once nothing of its own is on the way to the disk or back.

#include <utility>

#include "room/room.hpp"

namespace jamsocket::room {

void Room::let_go(std::uint16_t code, std::string_view reason) {
  Durable& durable = *durable_;
  durable.letting_go = true;
  closing_ = true;
  service_timer_.cancel();
  shutdown_timer_.cancel();
  durable.sleep_timer.node().cancel();
  durable.aside_timer.cancel();
  host_.inboxes().give_back(std::move(waiting_));
  if (!in_call_) {
    host_.inboxes().give_back(std::move(running_));
  }
  readers_paused_ = false;
  if (durable.on_created) {
    std::exchange(durable.on_created, nullptr)(Created::Failed);
  }
  for (const Durable::Arrival& arrival : std::exchange(durable.arrivals, {})) {
    arrival.link->close(code, reason);
  }
  for (const Member& member : std::exchange(members_, {})) {
    member.link->close(code, reason);
  }
  if (returning_) {
    returning_->clear();
  }
  end_once_let_go();
}

// What it waits for leads here again.
void Room::end_once_let_go() {
  Durable& durable = *durable_;
  const bool is_asked = durable.state == Durable::State::Loading;
  if (ended_ || in_call_ || queued == Queued::Yes || is_asked || !durable.is_settled()) {
    return;
  }
  instance_.reset();  // Before the end, which would take a checkpoint.
  durable.rebuild.reset();
  durable.wants_whole.reset();
  end();
}

// A call that took its time: what it did is not wanted.
void Room::drop_call(ServiceCall& call) {
  call.created.reset();
  call.rebuild.reset();
  call.start_effects.clear();
  call.effects.clear();
  host_.inboxes().give_back(std::move(running_));
  end_once_let_go();
}

// Whom it concerned is gone.
void Room::drop_gated() {
  while (durable_->gate.may_release(durable_->committed_ticket)) {
    (void)durable_->gate.take();
  }
  end_once_let_go();
}

}  // namespace jamsocket::room
