// server/run_queues.hpp
//
// The rooms that have events to handle, in the order in which they get their turn: those that are known
// first, those of which little is known between them, and those that had their share of this second last.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>

#include "base/clock.hpp"

namespace jamsocket::server {

/// `Room` has `events_handled()` and `over_share_until`. A room is in no more than one queue, once.
template <class Room>
class RunQueues {
 public:
  /// Rooms that have handled so many events are known. Many that fail or loop at once would otherwise hold everybody
  /// up, each for the first time.
  static constexpr std::uint64_t kEventsToBeKnown = 8;
  /// After so many known rooms a new one goes in between.
  static constexpr std::size_t kKnownInARow = 32;
  /// And so many new ones in a turn, so that the known, whose messages come meanwhile, need not wait long.
  static constexpr std::size_t kNewForTurn = 16;

  void begin_turn(SteadyTime now) {
    new_of_turn_ = 0;
    while (!over_share_.empty() && over_share_.front()->over_share_until <= now) {
      Room& room = *over_share_.front();
      over_share_.pop_front();
      push(room, now);
    }
  }

  void push(Room& room, SteadyTime now) {
    if (room.over_share_until > now) {
      over_share_.push_back(&room);
    } else {
      (room.events_handled() < kEventsToBeKnown ? new_ : known_).push_back(&room);
    }
  }

  /// Takes out one that will not be there any more, if it is in any.
  void remove(Room& room) {
    for (Queue* queue : {&known_, &new_, &over_share_}) {
      std::erase(*queue, &room);
    }
  }

  /// @return null: none is left for this turn.
  [[nodiscard]] Room* pop() {
    const bool may_be_new = !new_.empty() && new_of_turn_ < kNewForTurn;
    if (may_be_new && (known_.empty() || known_in_a_row_ >= kKnownInARow)) {
      ++new_of_turn_;
      known_in_a_row_ = 0;
      return pop_from(new_);
    }
    if (!known_.empty()) {
      ++known_in_a_row_;
      return pop_from(known_);
    }
    const bool others_wait = !new_.empty();
    return others_wait || over_share_.empty() ? nullptr : pop_from(over_share_);
  }

  [[nodiscard]] bool empty() const { return known_.empty() && new_.empty() && over_share_.empty(); }
  [[nodiscard]] std::size_t size() const { return known_.size() + new_.size() + over_share_.size(); }

  template <class Visit>
  void for_each(Visit visit) {
    for (auto* queue : {&known_, &new_, &over_share_}) {
      for (Room* room : *queue) {
        visit(*room);
      }
    }
  }

 private:
  using Queue = std::deque<Room*>;

  [[nodiscard]] static Room* pop_from(Queue& queue) {
    Room* const first = queue.front();
    queue.pop_front();
    return first;
  }

  Queue known_;
  Queue new_;
  Queue over_share_;
  std::size_t known_in_a_row_ = 0;
  std::size_t new_of_turn_ = 0;
};

}  // namespace jamsocket::server
