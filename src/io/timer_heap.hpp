// io/timer_heap.hpp
//
// Deadlines, soonest first. Nodes live inside their owners: scheduling allocates nothing but the
// heap's own growth, and a node that is destroyed is no longer due.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace jamsocket::io {

class TimerHeap;

class TimerTarget {
 public:
  virtual ~TimerTarget() = default;
  /// The node is no longer scheduled when this runs; it may schedule itself again.
  virtual void on_timer() = 0;
};

class TimerNode {
 public:
  explicit TimerNode(TimerTarget& target) : target_(&target) {}
  ~TimerNode() { cancel(); }
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  [[nodiscard]] bool is_scheduled() const { return heap_ != nullptr; }
  [[nodiscard]] SteadyTime deadline() const { return deadline_; }
  void cancel();

 private:
  friend class TimerHeap;

  TimerTarget* target_;
  TimerHeap* heap_ = nullptr;
  SteadyTime deadline_{};
  std::size_t index_ = 0;
};

class TimerHeap {
 public:
  TimerHeap() = default;
  ~TimerHeap();
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;

  /// Also moves a node that is scheduled already.
  void schedule(TimerNode& node, SteadyTime deadline);
  void cancel(TimerNode& node);
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const;
  /// Runs what is due at `now`, soonest first. What is scheduled meanwhile waits for the next call.
  void run_due(SteadyTime now) {
    run_due(now, [] { return true; });
  }
  /// As long as `go_on()`, which is asked after each; at least one.
  template <class GoOn>
  void run_due(SteadyTime now, GoOn&& go_on) {
    // Counted beforehand, so that a timer that schedules itself for "now" cannot hold the loop.
    for (std::size_t left = heap_.size(); left > 0 && run_next(now) && go_on(); --left) {
    }
  }
  /// For about `budget`, by `clock`: at least one, whose time counts too. Looks at the clock only where something is
  /// due.
  void run_due_for(SteadyTime now, const Clock& clock, std::chrono::nanoseconds budget);

 private:
  /// @return false: nothing is due.
  bool run_next(SteadyTime now);
  void place(std::size_t index, TimerNode* node);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);

  std::vector<TimerNode*> heap_;
};

/// A timer that calls a function; for the few timers of a loop, not for one a client.
class CallbackTimer final : public TimerTarget {
 public:
  explicit CallbackTimer(std::move_only_function<void()> callback) : callback_(std::move(callback)) {}
  void on_timer() override { callback_(); }
  [[nodiscard]] TimerNode& node() { return node_; }

 private:
  std::move_only_function<void()> callback_;
  TimerNode node_{*this};
};

}  // namespace jamsocket::io
