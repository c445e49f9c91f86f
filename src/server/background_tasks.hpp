// server/background_tasks.hpp
//
// What takes long and must hold no loop up, one after the other on a thread of its own: loading the modules of services
// that operators change, running kept rooms' events again beside the server.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace jamsocket::server {

class BackgroundTasks {
 public:
  /// @param waiting_max  tasks that wait, besides the one under way.
  explicit BackgroundTasks(std::size_t waiting_max) : waiting_max_(waiting_max) {}
  ~BackgroundTasks() { stop(); }
  BackgroundTasks(const BackgroundTasks&) = delete;
  BackgroundTasks& operator=(const BackgroundTasks&) = delete;

  /// Runs `task` after those before it. Any thread. @return false: too many wait, there is no thread to be had, or it
  /// was stopped.
  [[nodiscard]] bool enqueue(std::move_only_function<void()> task);
  /// Ends the thread, once the task that is under way is done; those that wait are dropped.
  void stop();

 private:
  void run();

  const std::size_t waiting_max_;
  std::mutex mutex_;  // Everything below. Never held during a task; no shard takes it.
  std::condition_variable changed_;
  std::deque<std::move_only_function<void()>> waiting_;
  std::thread thread_;  // Started by the first task: most servers never have one.
  bool stopped_ = false;
};

}  // namespace jamsocket::server
