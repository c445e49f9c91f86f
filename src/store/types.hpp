// store/types.hpp
//
// What is kept of a room: who it is, the events since its last checkpoint, and that checkpoint. The
// store looks into none of the bytes.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jamsocket::store {

/// A room's number in one data directory; never used twice there.
enum class RoomKey : std::uint64_t {};

struct RoomName {
  std::string service;
  std::string id;  ///< Any UTF-8.
  friend bool operator==(const RoomName&, const RoomName&) = default;
};

/// What happened to a room, and what it left as the room's timer.
struct Record {
  std::uint64_t number = 0;   ///< 1, 2, ... within the room, without gaps.
  std::int64_t timer_ms = 0;  ///< When the room's timer is due after it, in Unix milliseconds; 0: not set.
  std::string bytes;
  friend bool operator==(const Record&, const Record&) = default;
};

struct Checkpoint {
  std::uint64_t number = 0;  ///< Of the last event it holds the effects of.
  std::int64_t timer_ms = 0;
  std::string bytes;
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

/// A compressed checkpoint: `bytes` of `checkpoint` is one zstd frame, behind a CRC-32 of the room's key,
/// the number, the timer and the frame.
struct PackedCheckpoint {
  RoomKey key{};
  Checkpoint checkpoint;
};

/// All that is needed to bring a room back.
struct StoredRoom {
  RoomKey key{};
  RoomName name;
  std::string birth;  ///< What it started from.
  std::optional<Checkpoint> checkpoint;
  std::vector<Record> tail;  ///< Behind the checkpoint, by rising number.
};

/// The number of the room's last event; 0: it had none.
[[nodiscard]] inline std::uint64_t last_event(const StoredRoom& room) {
  return !room.tail.empty() ? room.tail.back().number : room.checkpoint ? room.checkpoint->number : 0;
}

inline constexpr std::uint64_t kUnlimitedBytes = UINT64_MAX;

/// How much of a room is wanted.
enum class Extent : std::uint8_t {
  Needed,      ///< Its checkpoint and the events behind it: what brings it back.
  Whole,       ///< Its events from the first one on, where all are kept; else what is needed.
  Checkpoint,  ///< Its checkpoint alone, also where what came later is damaged or lost.
};

struct RoomSummary {
  RoomKey key{};
  RoomName name;
  std::string birth;
  std::uint64_t checkpoint_number = 0;
  std::uint64_t checkpoint_bytes = 0;  ///< As stored.
  std::uint64_t last_number = 0;
  std::int64_t timer_ms = 0;
};

struct SleepingRoom {
  RoomName name;
  std::int64_t timer_ms = 0;
};

/// What one shard wants kept, in order. All of it or nothing of it is.
struct Batch {
  struct Created {
    RoomKey key{};
    RoomName name;
    std::string birth;
  };
  struct Appended {
    RoomKey key{};
    std::uint64_t number = 0;
    std::int64_t timer_ms = 0;
    std::size_t offset = 0;  ///< In `bytes`.
    std::size_t length = 0;
  };
  struct Checkpointed {
    RoomKey key{};
    Checkpoint checkpoint;
  };

  std::vector<Created> created;
  std::vector<Appended> appended;
  std::string bytes;
  std::vector<Checkpointed> checkpoints;
  /// Committed with the rest, in place of another one of the same event: the room is another code's from there on.
  std::vector<PackedCheckpoint> replaced;
  std::vector<RoomKey> removed;

  [[nodiscard]] bool empty() const {
    return created.empty() && appended.empty() && checkpoints.empty() && replaced.empty() && removed.empty();
  }
  /// Forgets all; keeps the buffers.
  void clear() {
    created.clear();
    appended.clear();
    bytes.clear();
    checkpoints.clear();
    replaced.clear();
    removed.clear();
  }
  void append(RoomKey key, std::uint64_t number, std::int64_t timer_ms, std::string_view record) {
    appended.push_back({key, number, timer_ms, bytes.size(), record.size()});
    bytes.append(record);
  }
  /// The same for what was appended to `bytes` from `offset` on.
  void appended_from(std::size_t offset, RoomKey key, std::uint64_t number, std::int64_t timer_ms) {
    appended.push_back({key, number, timer_ms, offset, bytes.size() - offset});
  }
  [[nodiscard]] std::string_view bytes_of(const Appended& record) const {
    return std::string_view(bytes).substr(record.offset, record.length);
  }
};

}  // namespace jamsocket::store
