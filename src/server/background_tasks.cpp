#include "server/background_tasks.hpp"

#include <system_error>
#include <utility>

namespace jamsocket::server {

bool BackgroundTasks::enqueue(std::move_only_function<void()> task) {
  const std::scoped_lock lock(mutex_);
  if (stopped_ || waiting_.size() >= waiting_max_) {
    return false;
  }
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      return false;  // The process may have no more threads now; perhaps later.
    }
  }
  waiting_.push_back(std::move(task));
  changed_.notify_one();
  return true;
}

void BackgroundTasks::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void BackgroundTasks::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
    if (stopped_) {
      return;
    }
    auto task = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace jamsocket::server
