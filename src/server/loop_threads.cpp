#include "server/loop_threads.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "base/system.hpp"

namespace jamsocket::server {
namespace {

constexpr std::size_t kSlowThreadsKept = 8;

// Both are of the thread: in Linux a thread is what these calls take for a process.
bool set_policy(pid_t thread, int policy) {
  const sched_param none{};
  return ::sched_setscheduler(thread, policy, &none) == 0;
}

// Before the lowest priority, too: so far a thread may come back without a privilege.
void have_least_share(Logger& logger) {
  constexpr int kNicest = 19;
  if (::setpriority(PRIO_PROCESS, 0, kNicest) != 0) {
    logger.warn("server.no_nice_priority", {{"reason", words_of(errno)}});
  }
}

}  // namespace

LoopThreads::~LoopThreads() { join(); }

void LoopThreads::start(LoopOwner& owner) {
  {
    const std::scoped_lock lock(mutex_);
    ++loops_;
  }
  JAM_CHECK(spawn([this, &owner] { run_loop(owner); }));
  ensure_standby();
}

bool LoopThreads::reserve_standby() {
  const std::scoped_lock lock(mutex_);
  if (standing_by_ == 0) {
    return false;
  }
  --standing_by_;
  return true;
}

void LoopThreads::hand_over(LoopOwner& owner) {
  {
    const std::scoped_lock lock(mutex_);
    orphaned_.push_back(&owner);
    standby_.notify_one();
  }
  // Not before: at the lowest priority this thread may wait for a processor for long, and with it everybody. Then it
  // stands back at once, for the standby may have been put behind it.
  have_least_share(logger_);
  lower(Turn::Later);
  ::sched_yield();
}

void LoopThreads::run_slow(Work work) {
  bool is_thread_free = false;
  {
    const std::scoped_lock lock(mutex_);
    slow_work_.push_back(std::move(work));
    is_thread_free = slow_idle_ >= slow_work_.size();
    slow_.notify_one();
  }
  if (!is_thread_free) {
    // Without a further thread the work waits for one that is busy.
    (void)spawn([this] { be_slow(); });
  }
}

// As many as the process may use.
std::size_t LoopThreads::processors() { return std::max(1U, std::thread::hardware_concurrency()); }

void LoopThreads::lower(Turn turn) {
  std::uint32_t hastened_before = 0;
  {
    std::unique_lock lock(mutex_);
    Waiting waiting{.thread = ::gettid()};
    (turn == Turn::First ? first_ : later_).push_back(&waiting);
    if (!wait_for_place(lock, waiting)) {
      return;
    }
    hastened_before = hastened_;
  }
  step_down(hastened_before);
}

void LoopThreads::give_way(Turn turn) {
  const bool was_first = turn == Turn::First;
  const bool somebody_waits = first_waiting_ > 0 || (was_first && later_waiting_ > 0);
  if (!somebody_waits || !may_climb_) {
    return;
  }
  // At the lowest priority no lock is taken.
  if (!set_policy(0, SCHED_OTHER)) {
    may_climb_ = false;
    return;
  }
  std::uint32_t hastened_before = 0;
  {
    std::unique_lock lock(mutex_);
    Waiting waiting{.thread = ::gettid()};
    if (lowered_.erase(waiting.thread) == 0) {
      return;  // It was hastened.
    }
    if (was_first) {
      later_.push_back(&waiting);
    } else {
      later_.push_front(&waiting);
    }
    if (!wait_for_place(lock, waiting)) {
      return;
    }
    hastened_before = hastened_;
  }
  step_down(hastened_before);
}

// @return whether it has one; else it was hastened.
bool LoopThreads::wait_for_place(std::unique_lock<std::mutex>& lock, Waiting& waiting) {
  pass_places_on();
  waiting.wake.wait(lock, [&waiting] { return waiting.is_over; });
  return lowered_.contains(waiting.thread);
}

void LoopThreads::pass_places_on() {
  while (lowered_.size() < lowered_max_ && !(first_.empty() && later_.empty())) {
    std::deque<Waiting*>& queue = first_.empty() ? later_ : first_;
    Waiting& next = *queue.front();
    queue.pop_front();
    lowered_.insert(next.thread);
    next.is_over = true;
    next.wake.notify_one();
  }
  first_waiting_ = first_.size();
  later_waiting_ = later_.size();
}

// Who is hastened meanwhile goes up again: it would be taken for one that has its share.
void LoopThreads::step_down(std::uint32_t hastened_before) {
  bool is_lowered = true;
  while (is_lowered) {
    if (!set_policy(0, SCHED_IDLE)) {
      logger_.warn("server.no_idle_priority", {{"reason", words_of(errno)}});
    }
    if (hastened_ == hastened_before) {
      return;
    }
    (void)set_policy(0, SCHED_OTHER);
    const std::scoped_lock lock(mutex_);
    hastened_before = hastened_;
    is_lowered = lowered_.contains(::gettid());
  }
}

Hastened LoopThreads::hasten(pid_t thread) {
  const std::scoped_lock lock(mutex_);  // While it is in the set or in a queue, the id is no other thread's.
  if (lowered_.erase(thread) > 0) {
    ++hastened_;
    pass_places_on();
    return set_policy(thread, SCHED_OTHER) ? Hastened::Yes : Hastened::NotAllowed;
  }
  for (std::deque<Waiting*>* queue : {&first_, &later_}) {
    const auto found = std::ranges::find(*queue, thread, &Waiting::thread);
    if (found != queue->end()) {
      (*found)->is_over = true;
      (*found)->wake.notify_one();
      queue->erase(found);
      pass_places_on();
      return Hastened::Yes;
    }
  }
  return Hastened::NotLowered;
}

// At the end of a slow thread's work: next it takes the lock for which loops may be waiting.
void LoopThreads::climb_back() {
  (void)set_policy(0, SCHED_OTHER);
  const std::scoped_lock lock(mutex_);
  lowered_.erase(::gettid());
  pass_places_on();
}

void LoopThreads::join() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return loops_ == 0 && slow_work_.empty() && slow_running_ == 0; });
  ending_ = true;
  standby_.notify_all();
  slow_.notify_all();
  ended_.wait(lock, [this] { return threads_.size() == finished_.size(); });
  ending_ = false;
  lock.unlock();
  join_finished();
}

bool LoopThreads::runs_here() const {
  const std::scoped_lock lock(mutex_);
  return std::ranges::find(threads_, std::this_thread::get_id(), &std::thread::get_id) != threads_.end();
}

bool LoopThreads::spawn(Work main) {
  const std::scoped_lock lock(mutex_);
  const auto place = threads_.emplace(threads_.end());
  try {
    *place = std::thread([this, place, main = std::move(main)]() mutable {
      main();
      main = nullptr;
      // Whoever ends waits for those that ended before. Not whoever starts a thread: that may be a loop, and at the
      // lowest priority the last instructions of a thread can take long.
      join_finished();
      const std::scoped_lock end_lock(mutex_);
      finished_.push_back(place);
      ended_.notify_all();
    });
    return true;
  } catch (const std::system_error& error) {
    logger_.error("server.no_thread", {{"reason", error.what()}});
    threads_.erase(place);
    return false;
  }
}

void LoopThreads::join_finished() {
  std::list<std::thread> done;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& thread : std::exchange(finished_, {})) {
      done.splice(done.end(), threads_, thread);
    }
  }
  for (std::thread& thread : done) {
    thread.join();
  }
}

void LoopThreads::ensure_standby() {
  {
    const std::scoped_lock lock(mutex_);
    if (standing_by_ > 0 || ending_) {
      return;
    }
    ++standing_by_;
  }
  if (!spawn([this] { stand_by(); })) {
    const std::scoped_lock lock(mutex_);
    --standing_by_;
  }
}

void LoopThreads::run_loop(LoopOwner& owner) {
  // Said either way: who starts a thread hands its own policy down.
  if (!set_policy(0, scheduling_ == Scheduling::Batch ? SCHED_BATCH : SCHED_OTHER)) {
    logger_.warn("server.no_batch_scheduling", {{"reason", words_of(errno)}});
  }
  if (owner.run() == LoopEnd::Lost) {
    climb_back();
    be_slow();
    return;
  }
  const std::scoped_lock lock(mutex_);
  --loops_;
  ended_.notify_all();
}

void LoopThreads::stand_by() {
  LoopOwner* owner = nullptr;
  {
    std::unique_lock lock(mutex_);
    standby_.wait(lock, [this] { return !orphaned_.empty() || ending_; });
    if (orphaned_.empty()) {
      --standing_by_;
      return;
    }
    owner = orphaned_.front();
    orphaned_.pop_front();
  }
  ensure_standby();
  run_loop(*owner);
}

void LoopThreads::be_slow() {
  have_least_share(logger_);
  std::unique_lock lock(mutex_);
  ended_.notify_all();
  while (true) {
    ++slow_idle_;
    slow_.wait(lock, [this] { return !slow_work_.empty() || ending_ || slow_idle_ > kSlowThreadsKept; });
    --slow_idle_;
    if (slow_work_.empty()) {
      return;
    }
    Work work = std::move(slow_work_.front());
    slow_work_.pop_front();
    ++slow_running_;
    lock.unlock();
    work();
    work = nullptr;
    climb_back();
    lock.lock();
    --slow_running_;
    ended_.notify_all();
  }
}

}  // namespace jamsocket::server
