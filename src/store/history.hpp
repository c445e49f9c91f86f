// store/history.hpp
//
// What is kept of the log and of checkpoints although nothing needs it to bring rooms back: for going back to how a
// room was, and for running all that ever happened to it again.
//
// The log's rows below the *floor* are history: every room in them has a later checkpoint. They go, oldest first, when
// they are older or more than is wanted. A checkpoint that a later one replaces is kept as long as the records behind
// it are.
//
// Thread: its Database's.

#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "store/log_row.hpp"
#include "store/sqlite.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

/// How much history is kept: what is within either of the two.
struct HistoryLimits {
  std::chrono::milliseconds age_max{0};
  std::uint64_t bytes_max = 0;
  bool all = false;  ///< Everything, for ever.
  [[nodiscard]] bool is_kept() const { return all || age_max.count() > 0 || bytes_max > 0; }
};

/// To which events a room can go back.
struct Reach {
  std::uint64_t earliest = 0;
  std::uint64_t latest = 0;
};

class History {
 public:
  using UnixMs = std::function<std::int64_t()>;

  History(const Connection& connection, const HistoryLimits& limits, UnixMs unix_ms)
      : connection_(connection), limits_(limits), unix_ms_(std::move(unix_ms)) {}
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  /// Behind the schema's making.
  [[nodiscard]] Result<void> open();
  [[nodiscard]] bool is_kept() const { return limits_.is_kept(); }
  /// Rows below it are not needed, as of the last time it was written down.
  [[nodiscard]] std::uint64_t floor() const { return floor_; }

  // Within a transaction:
  /// A row below the floor, which `keep_up` hears of next.
  void add_row(std::uint64_t bytes) { bytes_ += bytes; }
  /// The room's checkpoint is about to be replaced by that of event `number`.
  [[nodiscard]] Result<void> keep_checkpoint(RoomKey key, std::uint64_t number);
  [[nodiscard]] Result<void> forget_room(RoomKey key);
  /// Rows below `floor` are history; some of what is too much of it goes. `next_sequence`: of the next row.
  [[nodiscard]] Result<void> keep_up(std::uint64_t floor, std::uint64_t next_sequence);

  /// How far back the room can go, of which `needed` (its checkpoint's event, and its last) is at hand.
  [[nodiscard]] Result<Reach> reach(RoomKey key, Reach needed);
  struct Past {
    std::optional<Checkpoint> checkpoint;
    std::vector<Record> records;  ///< Behind it, up to the event that was asked for.
  };
  /// The room as of event `to`, which is before its present checkpoint and within its reach.
  [[nodiscard]] Result<Past> read(RoomKey key, std::uint64_t to);
  /// All of its events up to `to`; nothing if not all of them are kept.
  /// @error TooLarge  they take more than `bytes_max`.
  [[nodiscard]] Result<std::optional<std::vector<Record>>> read_whole(RoomKey key, std::uint64_t to,
                                                                      std::uint64_t bytes_max);
  /// Reads all of it, of the log the rows below `floor`. @return what is wrong, a sentence each.
  [[nodiscard]] Result<std::vector<std::string>> check(std::uint64_t floor);

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  struct Milestone {
    std::uint64_t sequence = 0;  ///< Rows below were written by then.
    std::int64_t time_ms = 0;
  };
  struct Run {
    std::uint64_t sequence = 0;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };
  [[nodiscard]] Result<void> note_time(std::uint64_t next_sequence);
  [[nodiscard]] Result<void> add(Milestone milestone);
  [[nodiscard]] Result<void> write_down(std::uint64_t floor);
  [[nodiscard]] Result<void> drop_what_is_too_much(std::uint64_t floor);
  [[nodiscard]] Result<bool> drop_oldest_row(std::uint64_t below);
  [[nodiscard]] Result<void> drop_checkpoints_below(RoomKey key, std::uint64_t number);
  [[nodiscard]] Result<std::vector<Run>> runs_of(RoomKey key);
  [[nodiscard]] Result<std::vector<std::uint64_t>> checkpoints_of(RoomKey key);
  [[nodiscard]] Result<std::vector<Record>> records_of(RoomKey key, const std::vector<Run>& runs, std::uint64_t after,
                                                       std::uint64_t to, std::uint64_t bytes_max = kUnlimitedBytes);

  const Connection& connection_;
  HistoryLimits limits_;
  UnixMs unix_ms_;
  std::uint64_t floor_ = 0;
  std::uint64_t bytes_ = 0;
  std::deque<Milestone> milestones_;
  Milestone last_commit_;  ///< Not written down.
  Statement set_counter_, add_milestone_, drop_milestones_, oldest_row_, drop_row_;
  Statement last_kept_, keep_checkpoint_, drop_checkpoints_, forget_room_;
};

}  // namespace jamsocket::store
