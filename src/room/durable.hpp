// room/durable.hpp
//
// What a room has beside the rest when it is kept: where it stands with the store, and the gate behind
// which what clients would see waits until what it reveals is on disk.
//
//   Loading   the store is asked; newcomers wait aside, events in the inbox
//   Ready     events run; there is an instance, or a rebuild that the next event runs first
//   Asleep    nothing happened for a while: its memory is on disk only, its clients are still there
//   Aside     it failed too often or cannot be brought back: nobody gets in until a while has passed
//
// Thread: the room's shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "io/timer_heap.hpp"
#include "room/gate.hpp"
#include "room/rebuild.hpp"
#include "room/records.hpp"
#include "service/effects.hpp"
#include "store/journal.hpp"

namespace jamsocket::room {

class ClientLink;
class Room;

/// When what an event changed is on disk.
enum class Durability : std::uint8_t {
  None,   ///< Never.
  Async,  ///< Soon; nobody waits for it.
  Local,  ///< Before anybody can see it.
};

/// How much may have to be run again to bring a room back; whichever comes first leads to a checkpoint.
struct CheckpointPolicy {
  std::uint64_t events = 1'000;
  std::size_t log_bytes = std::size_t{1} << 20U;
  std::chrono::nanoseconds cpu = std::chrono::milliseconds{50};
};

/// When a room whose events had to be undone is set aside, and for how long.
struct AsidePolicy {
  std::uint32_t failures = 3;              ///< So many within a minute.
  std::chrono::milliseconds first{1'000};  ///< Nobody gets in for so long; it doubles each time,
  std::chrono::milliseconds most{60'000};  ///< up to this, until the room has done well for as long again.
};

/// What becomes of a name under which nothing is stored.
enum class WhenMissing : std::uint8_t {
  Make,    ///< A room of that name begins.
  Refuse,  ///< There is no such room.
  Create,  ///< It is to be stored, even before it has a client.
};

/// What became of a request to create a room.
enum class Created : std::uint8_t { Yes, ExistsAlready, Failed };

class Durable final : public store::CommitTarget, public io::TimerTarget {
 public:
  enum class State : std::uint8_t { Loading, Ready, Asleep, Aside };

  /// Somebody who came while the room was looked up.
  struct Arrival {
    std::uint32_t number = 0;
    ClientLink* link = nullptr;
    std::unique_ptr<service::ConnectInfo> info;
    std::string resume;
  };

  Durable(Room& owner, store::Journal& shard_journal);

  // CommitTarget
  void committed(store::Ticket ticket) override;
  void found(Result<std::optional<store::StoredRoom>> stored) override;
  // TimerTarget: the time aside is over.
  void on_timer() override;

  [[nodiscard]] bool is_settled() const { return gate.is_empty() && last_ticket <= committed_ticket; }
  [[nodiscard]] bool may_end() const {
    return (state == State::Ready || state == State::Asleep) && is_settled() && !letting_go;
  }

  /// Whether the code that the next call makes an instance of must be read and compiled first.
  [[nodiscard]] bool must_load(const service::Service& service) const;

  /// Of the last minute.
  [[nodiscard]] std::size_t failures_lately(SteadyTime now);
  /// In a row: a room that has done well for long enough starts again.
  [[nodiscard]] std::uint32_t times_aside_lately(SteadyTime now, const AsidePolicy& policy);

  // What each event needs comes first, together: with a thousand rooms it has left the caches since the last one.
  Room& room;
  store::Journal& journal;
  State state = State::Loading;
  bool is_stored = false;   ///< Its row is there, or on its way.
  bool reloading = false;   ///< Loading after an event was undone, or after sleep: what is known of it stays.
  bool undone = false;      ///< That was the reason.
  bool letting_go = false;  ///< It ends as soon as the store and the shard have done with it.
  store::RoomKey key{};
  store::Ticket last_ticket = 0;
  store::Ticket committed_ticket = 0;
  Gate gate;
  std::uint64_t events_since = 0;  ///< These three: since the last checkpoint.
  std::size_t bytes_since = 0;
  std::chrono::nanoseconds cpu_since{};
  SteadyTime last_active{};
  RoomSide side;

  std::string version{};  ///< Of the code that its instance runs.
  std::optional<std::int64_t> born_ms{};
  std::unique_ptr<Rebuild> rebuild;
  std::unique_ptr<Rebuild> wants_whole;  ///< Waits for the room from its start on, to be upgraded.

  WhenMissing when_missing = WhenMissing::Make;
  std::vector<Arrival> arrivals;
  std::uint32_t last_arrival = 0;
  std::move_only_function<void(Created)> on_created;  ///< Told once it is known, and on disk.

  io::CallbackTimer sleep_timer;

  std::vector<SteadyTime> failures;  ///< The latest few.
  std::uint32_t times_aside = 0;
  SteadyTime came_from_aside{};
  io::TimerNode aside_timer{*this};
};

}  // namespace jamsocket::room
