// room/gate.hpp
//
// What of a room is on its way to the disk: how much, and which effects wait for it.
//
// Holds no memory while nothing is on its way: a room that sleeps costs little.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/counters.hpp"
#include "service/effects.hpp"
#include "service/event.hpp"
#include "store/journal.hpp"

namespace jamsocket::room {

/// How much of one room may be on its way to the disk; beyond, its events wait.
struct GateLimits {
  std::size_t events_max = 4'096;
  std::size_t bytes_max = std::size_t{4} << 20U;  ///< Of their records and of what they sent.
};

/// An event whose effects are not to be seen yet.
struct Gated {
  enum class What : std::uint8_t { Applied, Undone, UndoneAndAside, Mark };
  store::Ticket ticket = 0;
  What what = What::Applied;
  service::EventKind kind = service::EventKind::Timer;
  ClientId client{};
  service::Effects effects;
};

/// First in, first out, in one piece of memory that goes when it is empty.
template <class T>
class FlatQueue {
 public:
  [[nodiscard]] bool empty() const { return next_ == items_.size(); }
  [[nodiscard]] std::size_t capacity() const { return items_.capacity(); }
  [[nodiscard]] T& front() { return items_[next_]; }
  [[nodiscard]] T& back() { return items_.back(); }
  void push(T item) {
    // What was taken from the front makes room, so that a queue that never runs empty does not grow for ever.
    if (next_ >= kTakenMin && next_ * 2 > items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(next_));
      next_ = 0;
    }
    items_.push_back(std::move(item));
  }
  void pop() {
    if (++next_ == items_.size()) {
      next_ = 0;
      items_.clear();
      if (items_.capacity() > kKept) {
        items_.shrink_to_fit();
      }
    }
  }
  /// Gives its memory back, if it is empty.
  void release_memory() {
    if (empty()) {
      items_ = std::vector<T>();  // Not {}, which empties it and keeps the memory.
    }
  }

 private:
  static constexpr std::size_t kTakenMin = 32;
  static constexpr std::size_t kKept = 64;
  std::vector<T> items_;
  std::size_t next_ = 0;
};

class Gate {
 public:
  /// An event was recorded; its record and what it sent are so many bytes.
  void wrote(store::Ticket ticket, std::size_t bytes) {
    if (newest_.ticket != ticket) {
      if (newest_.events > 0) {
        older_.push(newest_);
      }
      newest_ = {.ticket = ticket};
    }
    ++newest_.events;
    newest_.bytes += bytes;
    ++events_;
    bytes_ += bytes;
  }
  /// Its effects wait for what was written.
  void hold(Gated event) { waiting_.push(std::move(event)); }

  /// All up to `ticket` is on disk: counts no longer.
  void kept(store::Ticket ticket) {
    while (events_ != newest_.events && older_.front().ticket <= ticket) {
      no_longer(older_.front());
      older_.pop();
    }
    if (newest_.ticket <= ticket) {
      no_longer(std::exchange(newest_, {}));
    }
  }
  /// Whether the oldest event that waits need wait no longer, once all up to `ticket` is on disk.
  [[nodiscard]] bool may_release(store::Ticket ticket) {
    return !waiting_.empty() && waiting_.front().ticket <= ticket;
  }
  [[nodiscard]] bool holds_back() const { return !waiting_.empty(); }
  [[nodiscard]] Gated take() {
    Gated event = std::move(waiting_.front());
    waiting_.pop();
    return event;
  }

  /// The limit that it has reached, if it has.
  [[nodiscard]] std::optional<Counter> limit_reached(const GateLimits& limits) const {
    if (events_ >= limits.events_max) {
      return Counter::LimitInFlightEvents;
    }
    return bytes_ >= limits.bytes_max ? std::optional(Counter::LimitInFlightBytes) : std::nullopt;
  }
  [[nodiscard]] bool is_empty() const { return events_ == 0 && waiting_.empty(); }
  void release_memory() {
    waiting_.release_memory();
    older_.release_memory();
  }

 private:
  struct OnWay {
    store::Ticket ticket = 0;
    std::size_t bytes = 0;
    std::size_t events = 0;
  };
  void no_longer(const OnWay& kept) {
    events_ -= kept.events;
    bytes_ -= kept.bytes;
  }

  OnWay newest_;  ///< Here, and not in memory of its own: seldom is there another.
  std::size_t events_ = 0;
  std::size_t bytes_ = 0;
  FlatQueue<Gated> waiting_;
  FlatQueue<OnWay> older_;
};

}  // namespace jamsocket::room
