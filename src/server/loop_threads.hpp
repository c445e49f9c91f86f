// server/loop_threads.hpp
//
// The threads that run shards' loops, and the ones on which slow service calls end.
//
// A shard's loop belongs to no thread in particular. When a call has run for too long its thread
// gives the loop away, to one that stands by, and becomes a slow thread: it has the least share of a
// processor that is sure (nice 19), and during calls, none: the kernel lets it run when nobody else
// wants to (SCHED_IDLE). Slow threads then serve the rooms that are known to be slow.
//
// What takes locks is not done at the lowest priority: a loop that waits for such a lock would have to
// wait for an idle processor. And on a machine that is never idle a call could go on for ever, and not
// even notice that its time is over: `hasten` brings its thread back. To climb so far a process needs
// CAP_SYS_NICE or an RLIMIT_NICE of 1.

#pragma once

#include <sys/types.h>

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

/// What became of a thread that was to have its share again.
enum class Hastened : std::uint8_t {
  Yes,
  NotLowered,  ///< It has its share.
  NotAllowed,  ///< By the system.
};

/// Something whose loop can go on on another thread.
class LoopOwner {
 public:
  virtual ~LoopOwner() = default;
  virtual LoopEnd run() = 0;
};

class LoopThreads {
 public:
  explicit LoopThreads(Logger& logger) : logger_(logger) {}
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
  /// To be called on a slow thread, from its work: the rest of it runs when nobody else wants to.
  void lower();
  /// A slow thread, by its id (gettid), has waited for idle processors long enough: the rest of its work has
  /// its share again.
  Hastened hasten(pid_t thread);
  /// Waits until all loops have ended and all slow work is done.
  void join();

 private:
  using Work = std::move_only_function<void()>;

  bool spawn(Work main);
  void join_finished();
  void ensure_standby();
  void run_loop(LoopOwner& owner);
  void stand_by();
  void be_slow();
  void climb_back();

  Logger& logger_;
  std::mutex mutex_;  // Everything below. Never held during a call, a loop or a system call that waits.
  std::condition_variable standby_;
  std::condition_variable slow_;
  std::condition_variable ended_;
  std::deque<LoopOwner*> orphaned_;
  std::deque<Work> slow_work_;
  std::size_t slow_running_ = 0;
  std::unordered_set<pid_t> lowered_;  ///< The threads at the lowest priority.
  std::list<std::thread> threads_;
  std::vector<std::list<std::thread>::iterator> finished_;  ///< To be joined: their last instructions may still run.
  std::size_t standing_by_ = 0;
  std::size_t slow_idle_ = 0;
  std::size_t loops_ = 0;
  bool ending_ = false;
};

}  // namespace jamsocket::server
