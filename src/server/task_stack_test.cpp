#include "server/task_stack.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace jamsocket::server {
namespace {

TEST(TaskStack, RunsInTheOrderOfPushing) {
  TaskStack<int> tasks;
  for (int i = 0; i < 5; ++i) {
    tasks.push(i);
  }
  std::vector<int> seen;
  tasks.run_all([&seen](int task) { seen.push_back(task); });
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
  tasks.run_all([](int) { FAIL() << "each task runs once"; });
}

TEST(TaskStack, LosesNothingUnderContentionAndKeepsEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  TaskStack<std::pair<int, int>> tasks;
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&tasks, thread] {
      for (int i = 0; i < kEach; ++i) {
        tasks.push({thread, i});
      }
    });
  }
  std::vector<int> next(kThreads, 0);
  int total = 0;
  while (total < kThreads * kEach) {
    tasks.run_all([&](const std::pair<int, int>& task) {
      EXPECT_EQ(task.second, next[static_cast<std::size_t>(task.first)]++);
      ++total;
    });
  }
}

}  // namespace
}  // namespace jamsocket::server
