// room/rebuild.hpp
//
// Brings a room's instance back from what is stored: its checkpoint is put in, and the events since run
// again with nobody to hear them.

#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "room/records.hpp"
#include "service/service.hpp"
#include "store/types.hpp"

namespace jamsocket::room {

/// What becomes of a room whose service is of another version than the one that made it.
enum class Upgrade : std::uint8_t {
  Keep,     ///< It goes on with the code that made it.
  Restart,  ///< It begins afresh, with the new code.
  Replay,   ///< The new code handles all that ever happened to it.
  Migrate,  ///< Its own code saves it, and the new code loads that.
};

/// All a rebuild needs, read and checked. Heap data: see ServiceCall.
struct Rebuild {
  store::StoredRoom stored;
  Birth birth;
  RoomSide side;        ///< As of the last stored event.
  std::string version;  ///< Of the code that the state belongs to.

  /// How it comes to the newest code; Keep: it does not.
  Upgrade upgrade = Upgrade::Keep;
  /// For Replay: the room from its start on.
  std::optional<store::StoredRoom> whole{};
  /// Whether it goes on with its own code when the upgrade fails.
  bool may_keep = false;
  /// Once `bring_back` did upgrade it: its first checkpoint as the newest code's room.
  std::optional<store::PackedCheckpoint> upgraded{};
  service::Fault upgrade_fault{service::Outcome::Done, {}, {}};  ///< Why it did not.

  /// @error Malformed, Unsupported  what is stored is damaged or of a newer version.
  [[nodiscard]] static Result<std::unique_ptr<Rebuild>> from(store::StoredRoom stored);
};

/// Sees each event that is run again; tests and `jamsocket replay` do.
using ReplayWatcher = std::function<void(const RecordedEvent&, const service::Effects&)>;

/// @param limits   of the effects, as they were when the events happened.
/// @param monitor  of calls that run long; may be null.
/// @return the instance, or why it could not be brought back.
[[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> run(
    const Rebuild& rebuild, service::Service& service, service::Effects& scratch, service::CallMonitor* monitor,
    const ReplayWatcher& watcher = {});

/// The same, and upgrades it if `rebuild` says so: then its side, its version and `upgraded` are those of the room by
/// the newest code. Where that fails and it may be kept, it is as it was.
[[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> bring_back(
    Rebuild& rebuild, service::Service& service, service::Effects& scratch, service::CallMonitor* monitor);

}  // namespace jamsocket::room
