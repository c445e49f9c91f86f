// How a durable room sleeps: nothing happened for a while, so its memory is on disk only. Its clients notice nothing,
// and the next event wakes it.

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "room/room.hpp"

namespace jamsocket::room {

// Moves the time of falling asleep on, without a word to the heap of timers: that looks again when it is due.
void Room::stay_awake() {
  durable_->last_active = host_.steady_now();
  if (!durable_->sleep_timer.node().is_scheduled()) {
    host_.timers().schedule(durable_->sleep_timer.node(), durable_->last_active + settings_.sleep_after);
  }
}

void Room::wake_up() {
  durable_->state = Durable::State::Loading;
  durable_->reloading = true;
  look_up();
}

void Room::fall_asleep() {
  Durable& durable = *durable_;
  const bool has_nothing = instance_ == nullptr && durable.rebuild == nullptr && !members_.empty();
  if (ended_ || durable.state != Durable::State::Ready || has_nothing) {
    return;  // With its next event it stays awake again.
  }
  const SteadyTime due = durable.last_active + settings_.sleep_after;
  const bool must_wait = in_call_ || has_events() || !durable.is_settled() || durable.journal.is_behind();
  if (due > host_.steady_now() || must_wait) {
    host_.timers().schedule(durable.sleep_timer.node(), std::max(due, host_.steady_now() + Milliseconds{100}));
    return;
  }
  if (instance_ != nullptr && durable.events_since > 0) {
    checkpoint();
  }
  counters_.add(Counter::RoomsAsleep);
  instance_.reset();
  durable.rebuild.reset();
  durable.state = Durable::State::Asleep;
  durable.gate.release_memory();
  // Both are stored, and come back with the rest.
  durable.version = std::string();
  durable.side.present = std::vector<std::uint32_t>();
  host_.room_fell_asleep();
  if (members_.empty()) {
    end();  // What is on disk is all of it.
  } else if (is_all_stored() && host_.keep_asleep(*this)) {
    retire();
  }
}

// But for who is there.
bool Room::is_all_stored() {
  const SteadyTime now = host_.steady_now();
  const bool counts_failures =
      durable_->failures_lately(now) > 0 || durable_->times_aside_lately(now, settings_.aside) > 0;
  return returning_ == nullptr && !counts_failures && slow_until <= now;
}

void Room::move_to(RoomAsleep& asleep) {
  asleep.last_client = last_client_;
  asleep.timer_ms = sleeps_until_ms();
  asleep.members.reserve(members_.size());
  for (const Member& member : std::exchange(members_, {})) {
    asleep.members.push_back({.client = member.client, .link = member.link});
    member.link->room_sleeps(asleep);
  }
}

void Room::wake_from(const RoomAsleep& asleep) {
  last_client_ = asleep.last_client;
  members_.reserve(asleep.members.size());
  for (const RoomAsleep::Member& member : asleep.members) {
    members_.push_back({.client = member.client, .link = member.link});
    member.link->room_wakes(*this);
  }
  had_client_ = true;
  wake_up();
}

}  // namespace jamsocket::room
