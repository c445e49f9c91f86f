// store/database.hpp
//
// A data directory: one SQLite file with the rooms, their checkpoints and the log, and in memory where
// in the log each room's records are.
//
// The log is rows of records that were committed together. A row goes once a checkpoint covers the
// records of every room in it; rows that few rooms hold back have those few copied to the log's end.
//
// Thread: one at a time. A directory belongs to one process: a lock file says whose.

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "store/buffers.hpp"
#include "store/history.hpp"
#include "store/lock_file.hpp"
#include "store/log_row.hpp"
#include "store/mend.hpp"
#include "store/packing.hpp"
#include "store/page_checks.hpp"
#include "store/schema.hpp"
#include "store/sqlite.hpp"
#include "store/types.hpp"
#include "store/write_ahead.hpp"

namespace jamsocket::store {

struct DatabaseOptions {
  std::string vfs{};                                        ///< SQLite's name of one; empty: the default.
  std::size_t row_bytes = std::size_t{16} << 10U;           ///< A row of the log is closed at this size.
  std::uint64_t log_bytes_max = std::uint64_t{256} << 20U;  ///< Beyond, the log's oldest rows are worked up.
  std::size_t wal_bytes_ahead = std::size_t{1} << 20U;      ///< By which the write-ahead log grows.
  HistoryLimits history{};
  History::UnixMs unix_ms = [] { return SystemClock().unix_ms(); };
  /// Whether a file of whose damage more than single rooms are concerned is made anew, from what can be read: never,
  /// where it cannot be opened otherwise, or in any case. It takes as long as reading and writing all of it.
  enum class Mend : std::uint8_t { No, WhereNeeded, Now } mend = Mend::No;
  std::shared_ptr<Buffers> buffers{};      ///< Null: its own.
  std::chrono::milliseconds lock_wait{0};  ///< For another process to let go of the directory.
  int wal_pages = 1000;                    ///< So many in the write-ahead log lead to its being worked in.
};

class Database {
 public:
  /// Opens `directory`, made if it is missing.
  /// @error LimitReached  another process has it.
  /// @error Unsupported   a newer version wrote it, or the file is somebody else's.
  /// @error Malformed     it is damaged beyond single rooms.
  /// @error Io            the system's words.
  [[nodiscard]] static Result<std::unique_ptr<Database>> open(const std::filesystem::path& directory,
                                                              const DatabaseOptions& options = {});
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Everything in `batches` but their checkpoints, and `checkpoints`, or nothing: one transaction.
  [[nodiscard]] Result<void> commit(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints = {});
  /// The same, for who calls `tend_log` later, with nobody waiting.
  [[nodiscard]] Result<void> write(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints);
  /// Works the write-ahead log in if it is long.
  [[nodiscard]] Result<void> tend_log();
  /// @error Malformed  what is stored of it is damaged, or may be older than what was kept.
  /// @error TooLarge   its history takes more than `history_bytes_max`; of Extent::Whole only.
  [[nodiscard]] Result<std::optional<StoredRoom>> read(const RoomName& name, Extent extent = Extent::Needed,
                                                       std::uint64_t history_bytes_max = kUnlimitedBytes);
  /// The same, by its key.
  [[nodiscard]] Result<std::optional<StoredRoom>> read(RoomKey key);
  /// The room's key, however damaged the rest of it is.
  [[nodiscard]] Result<std::optional<RoomKey>> key_of(const RoomName& name);
  /// Every service that has a room.
  [[nodiscard]] Result<std::vector<std::string>> services();
  /// The room as it was after event `to`.
  /// @error InvalidArgument  it cannot go back to that event; the message says to which it can.
  [[nodiscard]] Result<std::optional<StoredRoom>> read_back(const RoomName& name, std::uint64_t to);
  /// To which events `read_back` can go.
  [[nodiscard]] Result<std::optional<Reach>> reach(const RoomName& name);
  /// Rooms in the order of service and id, behind `after`.
  [[nodiscard]] Result<std::vector<RoomSummary>> list(const std::optional<RoomName>& after, std::size_t count_max);
  [[nodiscard]] Result<std::vector<SleepingRoom>> sleeping();

  [[nodiscard]] Result<void> keep_module(std::string_view hash, std::string_view bytes);
  [[nodiscard]] Result<std::optional<std::string>> module(std::string_view hash);
  [[nodiscard]] Result<std::vector<std::string>> module_hashes();

  /// Runs SQLite's own check and reads every room. @return what is wrong, a sentence each.
  [[nodiscard]] Result<std::vector<std::string>> check();
  /// Gives free space back to the file system.
  [[nodiscard]] Result<void> compact();
  /// Writes a consistent copy to `file`, which must not exist.
  [[nodiscard]] Result<void> backup(const std::filesystem::path& file);

  /// Whether what was asked for lay in a damaged page, or behind one.
  [[nodiscard]] bool has_damaged_pages() const { return page_checks_->has_refused(); }
  struct Mended {
    std::string why;  ///< What was wrong with the file.
    Losses losses;
  };
  /// Where this process made the file anew; what it was is kept as rooms.db.damaged.
  [[nodiscard]] const std::optional<Mended>& mended() const { return mended_; }
  /// One that no room here has or had.
  [[nodiscard]] std::uint64_t next_key() const { return next_key_; }
  [[nodiscard]] std::uint64_t log_bytes() const { return log_bytes_; }
  [[nodiscard]] std::size_t log_rows() const { return rows_.size(); }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  struct TailRow {
    std::uint64_t sequence = 0;
    std::uint64_t last = 0;  ///< Number of the room's last record in it.
  };
  struct Tail {
    std::vector<TailRow> rows;
    std::uint64_t last = 0;
    std::int64_t timer_ms = 0;
  };
  struct RowUse {
    std::uint32_t rooms = 0;
    std::uint32_t bytes = 0;
  };
  struct Statements {
    Statement create, remove, remove_checkpoint, append, checkpoint, replace_checkpoint, drop_row, set_timer,
        set_next_key;
    Statement find, find_name, find_checkpoint, row_body, covered;
  };

  Database(std::filesystem::path directory, const DatabaseOptions& options, std::unique_ptr<LockFile> lock,
           std::unique_ptr<PageChecks> page_checks, Connection connection);
  [[nodiscard]] std::uint64_t frames_max() const { return static_cast<std::uint64_t>(options_.wal_pages); }
  [[nodiscard]] static Result<std::unique_ptr<Database>> open_locked(const std::filesystem::path& directory,
                                                                     const DatabaseOptions& options,
                                                                     std::unique_ptr<LockFile> lock);
  [[nodiscard]] static Result<std::unique_ptr<Database>> mend(std::unique_ptr<Database> damaged, const Error& cause);
  [[nodiscard]] Result<void> prepare_file();
  [[nodiscard]] Result<void> look_ahead();
  [[nodiscard]] Result<void> get_ready();
  [[nodiscard]] Result<void> prepare_statements();
  [[nodiscard]] Result<void> build_index();
  [[nodiscard]] Result<void> index_row(std::uint64_t sequence, std::string_view directory, std::string_view body);
  void index_runs(std::uint64_t sequence, std::size_t bytes, const std::vector<RowRun>& runs);
  [[nodiscard]] Result<std::optional<std::uint64_t>> covered_number(RoomKey key);

  [[nodiscard]] Result<void> write_all(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints);
  [[nodiscard]] Result<void> write_created(const Batch& batch);
  [[nodiscard]] Result<void> write_row(const RowWriter& row);
  [[nodiscard]] Result<void> write_records(std::span<const Batch> batches);
  [[nodiscard]] Result<void> write_checkpoint(const PackedCheckpoint& packed, Statement& statement);
  [[nodiscard]] Result<void> write_removed(RoomKey key);
  [[nodiscard]] Result<void> drop_dead_rows();
  void make_history();
  [[nodiscard]] Result<void> keep_history_up();
  [[nodiscard]] Result<void> work_up_oldest_rows();
  void cover(RoomKey key, std::uint64_t number);
  void release(std::uint64_t sequence);

  [[nodiscard]] static std::uint32_t birth_checksum(const RoomName& name, std::string_view birth);
  [[nodiscard]] Result<std::optional<Checkpoint>> read_checkpoint(RoomKey key);
  [[nodiscard]] Result<std::vector<Record>> read_tail(RoomKey key, std::uint64_t after);

  std::filesystem::path directory_;
  DatabaseOptions options_;
  std::unique_ptr<LockFile> lock_;
  std::unique_ptr<PageChecks> page_checks_;
  Connection connection_;
  WriteAhead write_ahead_;
  History history_;
  std::shared_ptr<Buffers> buffers_;  ///< For the bytes of checkpoints that are read.
  Unpacker unpacker_;
  Statements sql_;
  std::unordered_map<RoomKey, Tail> tails_;
  std::map<std::uint64_t, RowUse> rows_;
  std::vector<std::uint64_t> dead_rows_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_key_ = 1;
  std::uint64_t doubtful_below_ = 0;  ///< Rooms of a smaller key may have had events in a log that is lost.
  bool log_is_unclear_ = false;       ///< It has a row that says in no way whose its events are.
  std::optional<Mended> mended_;
  std::uint64_t log_bytes_ = 0;
  std::uint64_t held_back_bytes_ = 0;  ///< In rows that nobody needs, behind one that somebody does.
  std::uint64_t work_up_at_ = 0;
};

}  // namespace jamsocket::store
