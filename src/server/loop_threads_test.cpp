// Goal: a slow thread leaves the processors to everybody else, and gets its share of them when it is told to.
// Method: work that looks at the priority of its own thread. Nothing is measured, and nothing has to be busy.

#include "server/loop_threads.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>

#include "server/testing.hpp"

namespace jamsocket::server {
namespace {

int policy() { return ::sched_getscheduler(0); }
int niceness() { return ::getpriority(PRIO_PROCESS, 0); }

class SlowThread : public testing::Test {
 protected:
  void SetUp() override {
    if (!may_leave_idle_priority()) {
      GTEST_SKIP() << "needs CAP_SYS_NICE or an RLIMIT_NICE of 1";
    }
  }
  NullLogger log_;
  LoopThreads threads_{log_};
};

TEST_F(SlowThread, StepsBackUntilItIsHastenedAndAgainInItsNextWork) {
  std::atomic<pid_t> thread{0};
  std::atomic<bool> has_share{false};
  threads_.run_slow([&] {
    EXPECT_EQ(policy(), SCHED_OTHER);
    EXPECT_EQ(niceness(), 19);
    threads_.lower(Turn::Later);
    EXPECT_EQ(policy(), SCHED_IDLE);
    thread = ::gettid();
    while (policy() == SCHED_IDLE) {
      ::sched_yield();
    }
    EXPECT_EQ(niceness(), 19) << "no more than the least";
    has_share = true;
  });
  while (thread == 0) {
    ::sched_yield();
  }
  EXPECT_EQ(threads_.hasten(thread), Hastened::Yes);
  while (!has_share) {
    ::sched_yield();
  }
  std::atomic<bool> is_done{false};
  threads_.run_slow([&] {
    EXPECT_EQ(policy(), SCHED_OTHER);
    threads_.lower(Turn::First);
    EXPECT_EQ(policy(), SCHED_IDLE);
    is_done = true;
  });
  threads_.join();
  EXPECT_TRUE(is_done);
}

TEST_F(SlowThread, IsLeftAloneWhileItHasItsShare) {
  EXPECT_EQ(threads_.hasten(::gettid()), Hastened::NotLowered) << "a thread of somebody else's";
  EXPECT_EQ(policy(), SCHED_OTHER);
  std::atomic<pid_t> thread{0};
  threads_.run_slow([&] {
    threads_.lower(Turn::Later);
    thread = ::gettid();
  });
  threads_.join();
  EXPECT_EQ(threads_.hasten(thread), Hastened::NotLowered) << "it has ended: nobody else may have its id meanwhile";
}

class Loop final : public LoopOwner {
 public:
  LoopEnd run() override {
    seen = policy();
    if (to_lose > 0) {
      --to_lose;
      while (!threads->reserve_standby()) {
        ::sched_yield();
      }
      threads->hand_over(*this);
      return LoopEnd::Lost;
    }
    return LoopEnd::Ended;
  }
  LoopThreads* threads = nullptr;
  std::atomic<int> to_lose{0};
  std::atomic<int> seen{-1};
};

int policy_of_loop(Scheduling scheduling, int handed_over) {
  NullLogger quiet;
  LoopThreads threads(quiet, scheduling);
  Loop loop;
  loop.threads = &threads;
  loop.to_lose = handed_over;
  threads.start(loop);
  threads.join();
  return loop.seen;
}

TEST(LoopThreadsTest, ALoopInterruptsNobodyUnlessItIsTold) {
  EXPECT_EQ(policy_of_loop(Scheduling::Batch, 0), SCHED_BATCH);
  EXPECT_EQ(policy_of_loop(Scheduling::Normal, 0), SCHED_OTHER);
}

TEST(LoopThreadsTest, ALoopThatChangedThreadsRunsLikeBefore) {
  EXPECT_EQ(policy_of_loop(Scheduling::Batch, 1), SCHED_BATCH);
  EXPECT_EQ(policy_of_loop(Scheduling::Normal, 1), SCHED_OTHER);
}

// One place, so that whoever has it is alone.
class OnePlace : public SlowThread {
 protected:
  void await(const std::atomic<bool>& flag) {
    while (!flag) {
      ::sched_yield();
    }
  }
  NullLogger quiet_;
  std::unique_ptr<LoopThreads> one_ = std::make_unique<LoopThreads>(quiet_, Scheduling::Batch, 1);
};

TEST_F(OnePlace, IsOnesAtATime) {
  std::atomic<int> running{0};
  std::atomic<int> done{0};
  for (int i = 0; i < 8; ++i) {
    one_->run_slow([&] {
      one_->lower(Turn::Later);
      EXPECT_EQ(++running, 1);
      ::sched_yield();
      one_->give_way(Turn::Later);
      EXPECT_EQ(running--, 1);
      ++done;
    });
  }
  one_->join();
  EXPECT_EQ(done, 8);
}

TEST_F(OnePlace, IsLeftToWhoComesForTheFirstTime) {
  std::atomic<bool> is_long{false};
  std::atomic<bool> is_short_done{false};
  one_->run_slow([&] {
    one_->lower(Turn::Later);
    is_long = true;
    while (!is_short_done) {
      one_->give_way(Turn::Later);
    }
  });
  await(is_long);
  one_->run_slow([&] {
    one_->lower(Turn::First);
    EXPECT_EQ(policy(), SCHED_IDLE);
    is_short_done = true;
  });
  one_->join();
  EXPECT_TRUE(is_short_done);
}

TEST_F(OnePlace, IsNotWaitedForByWhoIsHastened) {
  std::atomic<bool> is_held{false};
  std::atomic<bool> may_end{false};
  std::atomic<pid_t> waiting{0};
  one_->run_slow([&] {
    one_->lower(Turn::Later);
    is_held = true;
    await(may_end);
  });
  await(is_held);
  one_->run_slow([&] {
    waiting = ::gettid();
    one_->lower(Turn::First);
    EXPECT_EQ(policy(), SCHED_OTHER);
    EXPECT_EQ(niceness(), 19);
    one_->give_way(Turn::First);
    may_end = true;
  });
  while (waiting == 0) {
    ::sched_yield();
  }
  while (one_->hasten(waiting) == Hastened::NotLowered) {  // It does not wait yet.
    ::sched_yield();
  }
  one_->join();
  EXPECT_TRUE(may_end);
}

}  // namespace
}  // namespace jamsocket::server
