// store/store.hpp
//
// Where durable rooms are kept, as the shards see it: everything is asked for and answered later.
//
// Thread-safe. Requests of one thread are carried out in their order: what was submitted before a
// `find` is part of its answer. Answers come on a thread of the store's, which must not be held up.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

class Store {
 public:
  /// Gets the batch back, for its buffers.
  using Done = std::move_only_function<void(Batch)>;
  using Found = std::move_only_function<void(Result<std::optional<StoredRoom>>)>;

  virtual ~Store() = default;
  /// For a room that is to be created.
  [[nodiscard]] virtual RoomKey new_key() = 0;
  /// `done` is called once everything in `batch` but its checkpoints will survive a loss of power. The
  /// checkpoints follow when they have been compressed. What cannot be written ends the process.
  virtual void submit(Batch batch, Done done) = 0;
  /// The room, nothing if there is none. Where `Whole` is asked for and every event since the room's start is kept:
  /// all of them, and no checkpoint.
  /// @error Malformed  what is stored of it is damaged.
  virtual void find(RoomName name, Extent extent, Found found) = 0;
  /// The bytes of a checkpoint that `find` answered with, once they are no longer needed: for the next one's.
  virtual void give_back(std::string /*bytes*/) {}  // NOLINT(performance-unnecessary-value-param): overriders keep it.
  /// Writes a room whose last event had to be undone to a file of its own, for whoever looks into it.
  virtual void keep_fault(StoredRoom room) = 0;
  /// The rooms whose timer is set, as of the start.
  [[nodiscard]] virtual std::vector<SleepingRoom> sleeping() const = 0;
  /// Whether the disk has so little space left that no room should be told anything new.
  [[nodiscard]] virtual bool is_full() const = 0;
  /// Whether so many checkpoints wait to be compressed that a further one should come later.
  [[nodiscard]] virtual bool is_behind() const { return false; }
};

}  // namespace jamsocket::store
