// Goal: a slow thread leaves the processors to everybody else, and gets its share of them when it is told to.
// Method: work that looks at the priority of its own thread. Nothing is measured, and nothing has to be busy.

#include "server/loop_threads.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>

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
    threads_.lower();
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
    threads_.lower();
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
    threads_.lower();
    thread = ::gettid();
  });
  threads_.join();
  EXPECT_EQ(threads_.hasten(thread), Hastened::NotLowered) << "it has ended: nobody else may have its id meanwhile";
}

}  // namespace
}  // namespace jamsocket::server
