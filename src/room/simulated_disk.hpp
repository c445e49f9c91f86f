// room/simulated_disk.hpp
//
// For the simulator: a disk that outlives processes, and the store that the present process has on it. The
// store does nothing by itself: the simulator says when it goes on.

#pragma once

#include <cstdint>
#include <memory>

#include "store/store.hpp"

namespace jamsocket::room::testing {

class SimulatedDisk {
 public:
  virtual ~SimulatedDisk() = default;
  /// A process starts; the one before it was killed, or the power went: `chance` decides, and what is left of
  /// what was under way. @return its store, which lives until the next start.
  virtual store::Store& start(std::uint64_t chance) = 0;
  /// Carries out the next of what was asked for. @return whether there was anything.
  virtual bool work() = 0;
  /// Whether something could not be written: the process must end.
  [[nodiscard]] virtual bool is_broken() const = 0;
  /// An operation on the disk fails soon: `chance` decides which, and how.
  virtual void fail_soon(std::uint64_t chance) = 0;
  /// What was to fail does not.
  virtual void mend() = 0;
  virtual void set_full(bool full) = 0;
  /// What is stored of this room cannot be read for a while.
  virtual void set_damaged(const store::RoomName& name, bool damaged) = 0;
};

/// Over a MemoryStore: quick; checkpoints follow some time behind the events, as they do where they are compressed.
[[nodiscard]] std::unique_ptr<SimulatedDisk> make_memory_disk();
/// Over the real Database, on an UnreliableDisk: unsynced sectors are lost, kept or torn.
[[nodiscard]] std::unique_ptr<SimulatedDisk> make_database_disk();

}  // namespace jamsocket::room::testing
