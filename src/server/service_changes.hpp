// server/service_changes.hpp
//
// Changes of services that operators ask for: one after the other, on a thread of their own, since
// loading a module takes as long as compiling it. The same for running kept rooms' events again beside the server.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace jamsocket::server {

class ServiceChanges {
 public:
  /// Changes that wait, besides the one under way.
  static constexpr std::size_t kWaitingMax = 16;

  ServiceChanges() = default;
  ~ServiceChanges() { stop(); }
  ServiceChanges(const ServiceChanges&) = delete;
  ServiceChanges& operator=(const ServiceChanges&) = delete;

  /// Runs `change` after those before it. Any thread. @return false: too many wait, or it was stopped.
  [[nodiscard]] bool enqueue(std::move_only_function<void()> change);
  /// Ends the thread, once the change that is under way is done; those that wait are dropped.
  void stop();

 private:
  void run();

  std::mutex mutex_;  // Everything below. Never held during a change; no shard takes it.
  std::condition_variable changed_;
  std::deque<std::move_only_function<void()>> waiting_;
  std::thread thread_;  // Started by the first change: most servers never have one.
  bool stopped_ = false;
};

}  // namespace jamsocket::server
