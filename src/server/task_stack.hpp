// server/task_stack.hpp
//
// Tasks from any thread for one loop, without a lock: a thread of the lowest priority that is
// stopped in the middle of a push must not hold up the loop.

#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace jamsocket::server {

template <class Task>
class TaskStack {
 public:
  TaskStack() = default;
  TaskStack(const TaskStack&) = delete;
  TaskStack& operator=(const TaskStack&) = delete;
  ~TaskStack() { drop(head_.load(std::memory_order_acquire)); }

  /// Any thread.
  void push(Task task) {
    auto* node = new Node{std::move(task), head_.load(std::memory_order_relaxed)};
    while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }

  /// Takes all tasks and runs them in the order in which they were pushed. The loop's thread only.
  template <class Run>
  void run_all(Run run) {
    Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (newest != nullptr) {
      Node* next = std::exchange(newest->next, oldest);
      oldest = std::exchange(newest, next);
    }
    while (oldest != nullptr) {
      const std::unique_ptr<Node> node(oldest);
      oldest = node->next;
      run(node->task);
    }
  }

 private:
  struct Node {
    Task task;
    Node* next;
  };

  static void drop(Node* node) {
    while (node != nullptr) {
      const std::unique_ptr<Node> dropped(node);
      node = dropped->next;
    }
  }

  std::atomic<Node*> head_{nullptr};
};

}  // namespace jamsocket::server
