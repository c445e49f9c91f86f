#include "io/timer_heap.hpp"

#include <utility>

#include "base/check.hpp"

namespace jamsocket::io {

void TimerNode::cancel() {
  if (heap_ != nullptr) {
    heap_->cancel(*this);
  }
}

TimerHeap::~TimerHeap() {
  for (TimerNode* node : heap_) {
    node->heap_ = nullptr;
  }
}

void TimerHeap::schedule(TimerNode& node, SteadyTime deadline) {
  cancel(node);
  node.deadline_ = deadline;
  node.heap_ = this;
  heap_.push_back(&node);
  node.index_ = heap_.size() - 1;
  sift_up(node.index_);
}

void TimerHeap::cancel(TimerNode& node) {
  if (node.heap_ == nullptr) {
    return;
  }
  JAM_CHECK(node.heap_ == this);
  node.heap_ = nullptr;
  const std::size_t index = node.index_;
  TimerNode* last = heap_.back();
  heap_.pop_back();
  if (last != &node) {
    place(index, last);
    sift_up(index);
    sift_down(last->index_);
  }
}

std::optional<SteadyTime> TimerHeap::next_deadline() const {
  if (heap_.empty()) {
    return std::nullopt;
  }
  return heap_.front()->deadline_;
}

void TimerHeap::run_due_for(SteadyTime now, const Clock& clock, std::chrono::nanoseconds budget) {
  if (heap_.empty() || heap_.front()->deadline_ > now) {
    return;
  }
  const SteadyTime until = clock.steady() + budget;
  run_due(now, [&] { return clock.steady() < until; });
}

bool TimerHeap::run_next(SteadyTime now) {
  if (heap_.empty() || heap_.front()->deadline_ > now) {
    return false;
  }
  TimerNode* node = heap_.front();
  cancel(*node);
  node->target_->on_timer();
  return true;
}

void TimerHeap::place(std::size_t index, TimerNode* node) {
  heap_[index] = node;
  node->index_ = index;
}

void TimerHeap::sift_up(std::size_t index) {
  TimerNode* node = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->deadline_ <= node->deadline_) {
      break;
    }
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, node);
}

void TimerHeap::sift_down(std::size_t index) {
  TimerNode* node = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) {
      break;
    }
    if (child + 1 < heap_.size() && heap_[child + 1]->deadline_ < heap_[child]->deadline_) {
      ++child;
    }
    if (node->deadline_ <= heap_[child]->deadline_) {
      break;
    }
    place(index, heap_[child]);
    index = child;
  }
  place(index, node);
}

}  // namespace jamsocket::io
