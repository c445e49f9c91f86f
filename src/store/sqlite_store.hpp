// store/sqlite_store.hpp
//
// The store of a running server: a Database, the one thread that writes to it, and one that compresses
// checkpoints.
//
// The writer takes everything that all shards have submitted and commits it as one transaction; what
// comes meanwhile is the next one. So a commit costs one sync however many rooms it is for, and one room
// alone waits for one sync and no more.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "store/database.hpp"
#include "store/store.hpp"

namespace jamsocket::store {

/// What the directory's file system has left for this process; nothing: it does not say.
[[nodiscard]] std::optional<std::uint64_t> free_bytes_of(const std::filesystem::path& directory);

struct SqliteStoreOptions {
  DatabaseOptions database{};
  std::function<std::optional<std::uint64_t>(const std::filesystem::path&)> free_bytes = free_bytes_of;
  std::uint64_t free_bytes_min = std::uint64_t{64} << 20U;  ///< With less left on the disk, the store is full.
  std::size_t checkpoint_backlog_bytes_max = std::size_t{64}
                                             << 20U;  ///< Not yet compressed, or written; beyond: `is_behind`.
  std::size_t fault_files_max = 32;
  std::size_t fault_file_bytes_max = std::size_t{4} << 20U;  ///< A larger one is not written.
  /// Sees each checkpoint and the room that it is about to be one of, on the writer's thread; empty: nobody does.
  std::function<void(StoredRoom, Checkpoint)> watch_checkpoints{};
};

/// Why what is kept in `directory` may not outlive the machine, or not be there as it was written: its file system's
/// name; empty: no reason is known.
[[nodiscard]] std::string_view forgetful_file_system(const std::filesystem::path& directory);

class SqliteStore final : public Store {
 public:
  /// Called on the writer's thread with one sentence when nothing more can be kept; must not return.
  using Broken = std::function<void(const Error&)>;

  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& directory,
                                                                 const SqliteStoreOptions& options, Logger& logger,
                                                                 Broken broken);
  ~SqliteStore() override;
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  [[nodiscard]] RoomKey new_key() override { return RoomKey{next_key_.fetch_add(1)}; }
  void submit(Batch batch, Done done) override;
  void find(RoomName name, Extent extent, Found found) override;
  void give_back(std::string bytes) override { buffers_->give_back(std::move(bytes)); }
  /// Into DIR/faults; the oldest files make way.
  void keep_fault(StoredRoom room) override;
  [[nodiscard]] std::vector<SleepingRoom> sleeping() const override { return sleeping_; }
  [[nodiscard]] bool is_full() const override { return full_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool is_behind() const override {
    return backlog_bytes_.load(std::memory_order_relaxed) >= options_.checkpoint_backlog_bytes_max;
  }

  /// The versions of services whose code was kept, as of the start.
  [[nodiscard]] const std::vector<std::string>& module_hashes() const { return module_hashes_; }
  /// Runs `work` with the database to itself, behind what was submitted before.
  void run(std::move_only_function<void(Database&)> work);
  /// The same, for who does not know whether it has been stopped. @return false: it has; `work` is dropped.
  [[nodiscard]] bool try_run(std::move_only_function<void(Database&)> work);
  /// Carries out what was asked for, and ends the threads. Nothing may be asked for afterwards.
  void stop();

 private:
  struct Submitted {
    Batch batch;
    Done done;
  };
  using Packed = std::vector<PackedCheckpoint>;
  using Work = std::move_only_function<void(Database&)>;
  using Job = std::variant<Submitted, Work>;
  /// What the writer does next. Nothing: the store stops.
  struct Turn {
    std::deque<Job> jobs;
    Packed beside;  ///< Small checkpoints, within the jobs' transaction.
    Packed behind;  ///< Larger ones, in one of their own: nobody waits for them.
  };

  SqliteStore(std::unique_ptr<Database> database, SqliteStoreOptions options, Logger& logger, Broken broken);
  void push(Job job);
  void write_all();
  void carry_out(Turn turn);
  void commit(std::vector<Batch>& batches, Packed& checkpoints, std::vector<Done>& waiting);
  void pack_all();
  [[nodiscard]] Turn wait_for_turn();
  [[nodiscard]] Packed take_packed(std::size_t bytes_max);
  void write(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints);
  [[nodiscard]] Result<std::optional<StoredRoom>> read(const RoomName& name, Extent extent);
  /// @return false: it cannot be; what can be read goes on as before.
  [[nodiscard]] bool mend(const Error& cause);
  void done_or_end(const Result<void>& done);
  void show_checkpoints(const Packed& checkpoints);
  void count_written(const std::vector<Batch>& batches, const Packed& checkpoints);
  void look_at_free_space();
  void write_fault(const std::filesystem::path& directory, const StoredRoom& room);

  SqliteStoreOptions options_;
  std::shared_ptr<Buffers> buffers_;  ///< Of whichever database there is.
  std::unique_ptr<Database> database_;
  Logger& logger_;
  Broken broken_;
  std::vector<SleepingRoom> sleeping_;
  std::vector<std::string> module_hashes_;
  std::atomic<std::uint64_t> next_key_;
  std::atomic<bool> full_{false};
  std::atomic<std::size_t> backlog_bytes_{0};  ///< Of checkpoints that wait to be compressed, or written.
  bool has_mended_to_read_ = false;            ///< Once is enough: what is damaged then is in tables.
  std::uint32_t commits_until_look_ = 0;
  std::uint64_t bytes_until_look_ = 0;

  // One lock a turn and shard; never held while anything is written.
  std::mutex mutex_;
  std::condition_variable changed_;       ///< The writer waits for it.
  std::condition_variable packer_wakes_;  ///< Its own: no commit wakes the packer.
  std::deque<Job> jobs_;
  std::deque<PackedCheckpoint> packed_;
  std::deque<std::vector<Batch::Checkpointed>> raw_;
  bool packing_ = false;
  bool stopping_ = false;
  std::thread writer_;
  std::thread packer_;
};

}  // namespace jamsocket::store
