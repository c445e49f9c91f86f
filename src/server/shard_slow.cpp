// Calls that take long: how they leave the loop, run beside it at the lowest priority, and come back.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "server/shard.hpp"

namespace jamsocket::server {
namespace {

// For how long a room whose call took long starts its calls beside the loop. Then it gets another chance.
constexpr std::chrono::seconds kSlowFor{10};

}  // namespace

service::CallMonitor::Verdict Shard::call_runs_long(room::ServiceCall& call) {
  using Verdict = service::CallMonitor::Verdict;
  if (call.must_end.load(std::memory_order_relaxed)) {
    return Verdict::End;
  }
  if (call.place == room::ServiceCall::Place::Slow) {
    if (!call.is_lowered) {
      call.is_lowered = true;
      shared_.threads.lower(Turn::Later);
    } else {
      shared_.threads.give_way(std::exchange(call.is_first_turn, false) ? Turn::First : Turn::Later);
    }
    return Verdict::GoOn;
  }
  if (!slow_places_.take(SlowKind::Runs)) {
    counters_.add(Counter::CallsCrowded);
    return Verdict::End;
  }
  if (!shared_.threads.reserve_standby()) {
    slow_places_.give_back(SlowKind::Runs);
    return Verdict::GoOn;  // It asks again at the next tick.
  }
  JAM_CHECK(&call == call_.get() && current_ == call.room);
  call.room->keep_events();
  call.effects.leave_arena();
  leave_room();
  events_left_for_turn_ = 0;  // Whose messages came meanwhile go before the next that may take so long.
  call.place = room::ServiceCall::Place::Slow;
  // Other rooms' events may refer to the buffer as well: they are kept before this call can be finished.
  call.received = std::exchange(receive_buffer_, std::vector<char>(receive_buffer_.size()));
  call.is_lowered = true;
  call.thread.store(::gettid(), std::memory_order_relaxed);
  slow_calls_.push_back(std::exchange(call_, make_call()));
  went_slow(call);
  shared_.threads.hand_over(*this);
  return Verdict::GoOn;
}

void Shard::start_aside(room::Room& room) { room.slow_until = now_ + kSlowFor; }

void Shard::start_slow(room::Room& room) {
  room.keep_events();
  const SlowKind kind = room.must_load_code() ? SlowKind::Loads : SlowKind::Runs;
  if (!slow_places_.take(kind)) {
    room.queued = room::Room::Queued::Yes;
    slow_places_.wait(room, kind);
    return;
  }
  auto made = make_call();
  if (!room.begin_call(*made)) {
    slow_places_.give_back(kind);
    return;
  }
  room::ServiceCall& call = *made;
  call.loads_code = kind == SlowKind::Loads;
  call.effects.leave_arena();
  call.place = room::ServiceCall::Place::Slow;
  slow_calls_.push_back(std::move(made));
  went_slow(call);
  shared_.threads.run_slow([this, &call] {
    call.thread.store(::gettid(), std::memory_order_relaxed);
    // A room that is still to be made needs the engine's locks: that has its share.
    if (call.instance != nullptr) {
      call.is_lowered = true;
      call.is_first_turn = true;
      shared_.threads.lower(Turn::First);
    }
    call.cpu_before = thread_cpu_time();
    call.run();
    call.cpu_used = thread_cpu_time() - call.cpu_before;
    post([&call](Shard& shard) { shard.finish_slow(call); });
  });
}

void Shard::went_slow(room::ServiceCall& call) {
  call.slow_since = shared_.clock.steady();
  if (!slow_timer_.node().is_scheduled()) {
    timers_.schedule(slow_timer_.node(), call.slow_since + shared_.settings.slow_calls.idle_max);
  }
}

// Slow threads have what others leave of the processors. A machine that leaves nothing would keep a call out for ever.
void Shard::hasten_slow_calls() {
  const Milliseconds idle_max = shared_.settings.slow_calls.idle_max;
  std::optional<SteadyTime> next;
  for (const auto& call : slow_calls_) {
    const SteadyTime due = call->slow_since + idle_max;
    if (now_ >= due && hasten(*call)) {
      continue;
    }
    // One that no thread has taken yet, or that has its share, is looked at again.
    const SteadyTime again = now_ >= due ? now_ + idle_max : due;
    next = std::min(next.value_or(again), again);
  }
  if (next) {
    timers_.schedule(slow_timer_.node(), *next);
  }
}

// Whether nothing more can be done for it.
bool Shard::hasten(room::ServiceCall& call) {
  const pid_t thread = call.thread.load(std::memory_order_relaxed);
  if (call.is_hastened || thread == 0) {
    return call.is_hastened;
  }
  const Hastened done = shared_.threads.hasten(thread);
  if (done == Hastened::NotLowered) {
    return false;
  }
  call.is_hastened = true;
  counters_.add(Counter::CallsHastened);
  if (done == Hastened::NotAllowed) {
    shared_.limit_log.say(Counter::CallsHastened, "server.slow_calls_starve", now_,
                          {{"needed", "CAP_SYS_NICE or an RLIMIT_NICE of 1"}});
  }
  return true;
}

void Shard::finish_slow(room::ServiceCall& call) {
  counters_.add(Counter::CallsSlow);
  room::Room& room = *call.room;
  if (call.ran_long) {
    start_aside(room);
  }
  charge(room, call.cpu_used);
  const auto found = std::ranges::find(slow_calls_, &call, &std::unique_ptr<room::ServiceCall>::get);
  std::unique_ptr<room::ServiceCall> ended = std::move(*found);
  slow_calls_.erase(found);
  slow_places_.give_back(call.loads_code ? SlowKind::Loads : SlowKind::Runs);
  if (may_fail_later(call)) {
    failed_calls_.push_back(std::move(ended));
  } else if (phase_ != Phase::Ending && room.finish_call(call)) {
    runnable(room);
  }
}

}  // namespace jamsocket::server
