// room/records.hpp
//
// What a durable room writes: what it started from, its events, and its checkpoints. Formats in prose:
// docs/durability.md.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "service/effects.hpp"
#include "service/event.hpp"
#include "service/service.hpp"

namespace jamsocket::room {

/// What a room starts from; never changes.
struct Birth {
  service::Seed seed{};
  std::int64_t time_ms = 0;
  std::string version;  ///< Of the service's code.
};
[[nodiscard]] std::string encode(const Birth& birth);
/// @error Malformed, Unsupported  not what `encode` makes, or made by a newer version.
[[nodiscard]] Result<Birth> decode_birth(std::string_view bytes);

/// What became of an event, besides its effects.
struct EventOutcome {
  service::Outcome outcome = service::Outcome::Done;  ///< Anything else: it was undone.
  bool refused = false;                               ///< A Connect that the service turned away.
};

/// An event as it was recorded. `event` refers into the bytes it was decoded from, and to `info`.
struct RecordedEvent {
  service::Event event;
  EventOutcome outcome;
  std::unique_ptr<service::ConnectInfo> info;
};
[[nodiscard]] std::string encode(const service::Event& event, EventOutcome outcome);
/// The same, appended to `out`.
void append(std::string& out, const service::Event& event, EventOutcome outcome);
/// @error Malformed  not what `encode` makes.
[[nodiscard]] Result<RecordedEvent> decode_event(std::uint64_t number, std::string_view bytes);

/// The half of a room that is not the service's: changed by each event, the same way when it happens
/// and when it is read back.
struct RoomSide {
  std::uint64_t last_event = 0;
  std::int64_t last_time_ms = 0;
  std::int64_t timer_ms = 0;           ///< When it is due, in Unix milliseconds; 0: not set.
  std::uint32_t last_client = 0;       ///< The highest id that a Connect had.
  std::vector<std::uint32_t> present;  ///< Whom the service knows to be there, by rising id.

  /// An event happened; `timer_ms` is set apart, by `note_timer`.
  void note(const service::Event& event, EventOutcome outcome);
  /// What `effects` of an event, or of the constructor, at `time_ms` make of the timer.
  void note_timer(const service::Effects& effects, std::int64_t time_ms);

  friend bool operator==(const RoomSide&, const RoomSide&) = default;
};

/// The host's side and the service's state, as of one event.
struct CheckpointParts {
  RoomSide side;
  std::string version;     ///< Of the code that `state` belongs to.
  std::string_view state;  ///< As `ServiceInstance::capture` gave it; in the bytes it was decoded from.
};
[[nodiscard]] std::string encode(const CheckpointParts& parts);
/// @error Malformed, Unsupported
[[nodiscard]] Result<CheckpointParts> decode_checkpoint(std::string_view bytes);

}  // namespace jamsocket::room
