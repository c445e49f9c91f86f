// server/failing_rooms.hpp
//
// Which rooms of a shard failed lately, and for how long the clients of each are turned away.
//
// A room that fails is made afresh by its next client. When it keeps failing, that only burns time and
// fills the log: from a number of failures on, each within a minute of the last, it rests, twice as
// long after each.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "server/room_table.hpp"
#include "server/settings.hpp"

namespace jamsocket::server {

class FailingRooms {
 public:
  /// Beyond so many the one whose failure is longest ago is forgotten.
  static constexpr std::size_t kRemembered = 10'000;

  explicit FailingRooms(const BackOff& settings) : settings_(settings) {}

  /// The room failed. `slow_until`: its own; the next room of that name begins with it.
  void note(const RoomName& name, SteadyTime now, SteadyTime slow_until = {});
  /// Until when the calls of a new room of that name start on slow threads.
  [[nodiscard]] SteadyTime slow_until(const RoomName& name) const;
  /// For how long from `now` nobody may join; zero: anybody may.
  [[nodiscard]] Milliseconds rests_for(const RoomName& name, SteadyTime now) const;
  [[nodiscard]] bool none() const { return by_name_.empty(); }
  [[nodiscard]] std::size_t size() const { return by_name_.size(); }

 private:
  struct Failing {
    std::string name;
    std::uint32_t failures = 0;
    SteadyTime rests_until{};
    SteadyTime slow_until{};
  };

  [[nodiscard]] static std::string key_of(const RoomName& name);
  void forget_old(SteadyTime now);

  BackOff settings_;
  std::list<Failing> by_age_;  ///< The one whose last failure is longest ago first.
  std::unordered_map<std::string_view, std::list<Failing>::iterator> by_name_;
};

}  // namespace jamsocket::server
