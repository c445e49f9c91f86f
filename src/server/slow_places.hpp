// server/slow_places.hpp
//
// The places of calls beside the loop, and the rooms that wait for one. A call that loads code waits for a disk, a
// compiler, or another call that loads the same: such calls have a part of the places only, or the rooms that come back
// after a restart would have all, and a call that gets slow on the loop meanwhile would have to end.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>

namespace jamsocket::server {

enum class SlowKind : std::uint8_t { Runs, Loads };

template <class Room>
class SlowPlaces {
 public:
  static constexpr std::size_t kPartThatLoads = 4;

  /// @param most  calls at once; a quarter of them may load, but one always may.
  explicit SlowPlaces(std::size_t most) : most_(most), loads_most_(std::max(most / kPartThatLoads, std::size_t{1})) {}

  /// @return false: none is free.
  [[nodiscard]] bool take(SlowKind kind) { return taken_.take(kind, *this); }
  void give_back(SlowKind kind) {
    --taken_.all;
    taken_.loads -= kind == SlowKind::Loads ? 1 : 0;
  }

  void wait(Room& room, SlowKind kind) { queue_of(kind).push_back(&room); }
  /// Takes out one that will not be there any more, if it waits.
  void remove(Room& room) {
    for (Queue& queue : waiting_) {
      std::erase(queue, &room);
    }
  }

  /// Whether a room that waits could have a place.
  [[nodiscard]] bool is_one_free_for_who_waits() const {
    return (!queue_of(SlowKind::Runs).empty() && Taken(taken_).take(SlowKind::Runs, *this)) ||
           (!queue_of(SlowKind::Loads).empty() && Taken(taken_).take(SlowKind::Loads, *this));
  }
  /// Lets go on as many rooms as there are places. One that had its turn may not need its place any more, or not now:
  /// then it is the next one's, without another call that would have to end first.
  template <class GoOn>
  void let_go_on(GoOn go_on) {
    Taken taken = taken_;
    for (const SlowKind kind : {SlowKind::Runs, SlowKind::Loads}) {
      Queue& queue = queue_of(kind);
      while (!queue.empty() && taken.take(kind, *this)) {
        go_on(*queue.front());
        queue.pop_front();
      }
    }
  }

  [[nodiscard]] std::size_t waiting() const { return waiting_[0].size() + waiting_[1].size(); }
  template <class Visit>
  void for_each_waiting(Visit visit) {
    for (Queue& queue : waiting_) {
      for (Room* room : queue) {
        visit(*room);
      }
    }
  }

 private:
  using Queue = std::deque<Room*>;

  struct Taken {
    std::size_t all = 0;
    std::size_t loads = 0;

    bool take(SlowKind kind, const SlowPlaces& places) {
      if (all >= places.most_ || (kind == SlowKind::Loads && loads >= places.loads_most_)) {
        return false;
      }
      ++all;
      loads += kind == SlowKind::Loads ? 1 : 0;
      return true;
    }
  };

  [[nodiscard]] Queue& queue_of(SlowKind kind) { return waiting_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] const Queue& queue_of(SlowKind kind) const { return waiting_[static_cast<std::size_t>(kind)]; }

  std::size_t most_;
  std::size_t loads_most_;
  Taken taken_;
  std::array<Queue, 2> waiting_;
};

}  // namespace jamsocket::server
