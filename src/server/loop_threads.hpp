// server/loop_threads.hpp
//
// The threads that run shards' loops, and the ones on which slow service calls end.
//
// A shard's loop belongs to no thread in particular. When a call has run for too long its thread
// gives the loop away, to one that stands by, and becomes a slow thread: it has the least share of a
// processor that is sure (nice 19), and during calls, none: the kernel lets it run when nobody else
// wants to (SCHED_IDLE). Slow threads then serve the rooms that are known to be slow.
//
// Of the threads at the lowest priority no more run at once than there are processors; the others wait for a place.
// Many of them weigh something, too: where 64 compete, a loop that wakes up was measured to wait for 60 ms.
//
// A loop's thread does not interrupt whoever uses the processor when something comes (SCHED_BATCH): it has its share as
// before, and finds more to do when it runs. Docs: decision 0021.
//
// What takes locks is not done at the lowest priority: a loop that waits for such a lock would have to
// wait for an idle processor. And on a machine that is never idle a call could go on for ever, and not
// even notice that its time is over: `hasten` brings its thread back. To climb so far a process needs
// CAP_SYS_NICE or an RLIMIT_NICE of 1.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/log.hpp"

namespace jamsocket::server {

/// What a loop's thread returns with.
enum class LoopEnd : std::uint8_t {
  Ended,  ///< The shard is over.
  Lost,   ///< Another thread runs the loop; this one is slow from here on.
};

/// When a loop that something came for runs, where all processors are in use.
enum class Scheduling : std::uint8_t {
  Batch,   ///< When who has the processor waits for something, or has had its slice.
  Normal,  ///< Mostly at once.
};

/// What became of a thread that was to have its share again.
enum class Hastened : std::uint8_t {
  Yes,
  NotLowered,  ///< It has its share.
  NotAllowed,  ///< By the system.
};

/// In which order threads at the lowest priority get their places.
enum class Turn : std::uint8_t {
  First,  ///< What has just begun, and may be done in a moment.
  Later,  ///< What has been computing for a while.
};

/// Something whose loop can go on on another thread.
class LoopOwner {
 public:
  virtual ~LoopOwner() = default;
  virtual LoopEnd run() = 0;
};

class LoopThreads {
 public:
  explicit LoopThreads(Logger& logger, Scheduling scheduling = Scheduling::Batch,
                       std::size_t lowered_max = processors())
      : logger_(logger), scheduling_(scheduling), lowered_max_(lowered_max) {}
  ~LoopThreads();
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  /// Runs `owner`'s loop on a thread of its own, and keeps another one standing by.
  void start(LoopOwner& owner);
  /// Called on the thread that runs `owner`'s loop, from inside a call that takes long: lowers this
  /// thread's priority for good and lets another thread run the loop. The caller must return
  /// LoopEnd::Lost from `run` without touching the owner's loop again.
  /// Only after `reserve_standby` said yes.
  void hand_over(LoopOwner& owner);
  /// Whether a thread stands by; if so it is kept for the `hand_over` that must follow.
  [[nodiscard]] bool reserve_standby();
  /// Runs `work` on a slow thread.
  void run_slow(std::move_only_function<void()> work);
  /// To be called on a slow thread, from its work: the rest of it runs when nobody else wants to, and when it has one
  /// of the places; returns then.
  void lower(Turn turn);
  /// To be called now and then after that: lets others have the place whose turn it is.
  /// @param turn  First: it has been so until now.
  void give_way(Turn turn);
  /// A slow thread, by its id (gettid), has waited for idle processors or a place long enough: the rest of its work has
  /// its share again.
  Hastened hasten(pid_t thread);
  /// Waits until all loops have ended and all slow work is done. Not on one of these threads.
  void join();
  /// Whether the caller runs on one of these threads, inside a service's call for example.
  [[nodiscard]] bool runs_here() const;

 private:
  using Work = std::move_only_function<void()>;
  struct Waiting {
    pid_t thread;
    std::condition_variable wake{};
    bool is_over = false;
  };

  [[nodiscard]] static std::size_t processors();
  bool spawn(Work main);
  void join_finished();
  void ensure_standby();
  void run_loop(LoopOwner& owner);
  void stand_by();
  void be_slow();
  void climb_back();
  [[nodiscard]] bool wait_for_place(std::unique_lock<std::mutex>& lock, Waiting& waiting);
  void pass_places_on();
  void step_down(std::uint32_t hastened_before);

  Logger& logger_;
  const Scheduling scheduling_;
  const std::size_t lowered_max_;
  // How many wait for a place, for who has one; and how often somebody was hastened.
  std::atomic<std::size_t> first_waiting_{0};
  std::atomic<std::size_t> later_waiting_{0};
  std::atomic<std::uint32_t> hastened_{0};
  std::atomic<bool> may_climb_{true};
  mutable std::mutex mutex_;  // Everything below. Never held during a call, a loop or a system call that waits.
  std::condition_variable standby_;
  std::condition_variable slow_;
  std::condition_variable ended_;
  std::deque<LoopOwner*> orphaned_;
  std::deque<Work> slow_work_;
  std::size_t slow_running_ = 0;
  std::unordered_set<pid_t> lowered_;  ///< The threads that have places.
  std::deque<Waiting*> first_;         ///< Those that wait for one.
  std::deque<Waiting*> later_;
  std::list<std::thread> threads_;
  std::vector<std::list<std::thread>::iterator> finished_;  ///< To be joined: their last instructions may still run.
  std::size_t standing_by_ = 0;
  std::size_t slow_idle_ = 0;
  std::size_t loops_ = 0;
  bool ending_ = false;
};

}  // namespace jamsocket::server
