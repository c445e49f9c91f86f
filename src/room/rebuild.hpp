// room/rebuild.hpp
//
// Brings a room's instance back from what is stored: its checkpoint is put in, and the events since run
// again with nobody to hear them.

#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>

#include "base/result.hpp"
#include "room/records.hpp"
#include "service/service.hpp"
#include "store/types.hpp"

namespace jamsocket::room {

/// All a rebuild needs, read and checked. Heap data: see ServiceCall.
struct Rebuild {
  store::StoredRoom stored;
  Birth birth;
  RoomSide side;        ///< As of the last stored event.
  std::string version;  ///< Of the code that the state belongs to.

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

}  // namespace jamsocket::room
