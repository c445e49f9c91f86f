#include "store/sqlite_store.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "store/mend.hpp"
#include "store/room_file.hpp"

namespace jamsocket::store {
namespace {

// Asking for the free space is a system call: not at each commit, but long before the reserve could be used up. A
// byte is written twice, to the write-ahead log first.
constexpr std::uint32_t kCommitsPerLook = 64;
constexpr std::uint64_t kLooksPerReserve = 16;
// Who waits for an event to be kept, or for a room to be read, waits for what the writer is at: a transaction has so
// much of checkpoints, or one. (When it had all there were, a room that woke while 300 others of 1 MiB fell asleep
// waited for 290 ms.)
constexpr std::size_t kCheckpointBytesBeside = std::size_t{64} << 10U;
constexpr std::size_t kCheckpointBytesBehind = std::size_t{1} << 20U;
// So much is copied in a moment: larger files are mended where something must be written, or somebody asks for it.
constexpr std::uintmax_t kMendedToReadBytesMax = std::uintmax_t{64} << 20U;
// While the disk is full nothing is written that would lead to a look.
constexpr std::chrono::milliseconds kFullDiskPause{250};

std::size_t bytes_of(const std::vector<Batch::Checkpointed>& checkpoints) {
  std::size_t bytes = 0;
  for (const Batch::Checkpointed& each : checkpoints) {
    bytes += each.checkpoint.bytes.size();
  }
  return bytes;
}

// What concerns some rooms does not keep the others from starting: those wake when somebody comes, or are set aside.
template <typename T>
Result<T> unless_damaged(Result<T> found, Logger& logger, std::string_view event) {
  if (!found && found.error().code == ErrorCode::Malformed) {
    logger.error(event, {{"why", found.error().message}});
    return T{};
  }
  return found;
}

void log_mended(std::string_view why, const Losses& losses, Logger& logger) {
  logger.error("store.mended", {{"why", why}, {"lost", losses.text()}, {"kept_as", "rooms.db.damaged"}});
}

}  // namespace

std::string_view forgetful_file_system(const std::filesystem::path& directory) {
  struct statfs system{};
  if (::statfs(directory.c_str(), &system) != 0) {
    return "";
  }
  switch (static_cast<std::uint32_t>(system.f_type)) {
    case TMPFS_MAGIC:
      return "tmpfs";
    case RAMFS_MAGIC:
      return "ramfs";
    case NFS_SUPER_MAGIC:
      return "nfs";
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
      return "smb";
    default:
      return "";
  }
}

std::optional<std::uint64_t> free_bytes_of(const std::filesystem::path& directory) {
  struct statvfs space{};
  if (::statvfs(directory.c_str(), &space) != 0) {
    return std::nullopt;
  }
  return std::uint64_t{space.f_bavail} * space.f_frsize;
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& directory,
                                                       const SqliteStoreOptions& options, Logger& logger,
                                                       Broken broken) {
  SqliteStoreOptions own = options;
  own.database.buffers = std::make_shared<Buffers>();
  auto database = JAM_TRY(Database::open(directory, own.database));
  if (const auto& mended = database->mended()) {
    log_mended(mended->why, mended->losses, logger);
  }
  if (const std::string_view system = forgetful_file_system(directory); !system.empty()) {
    logger.warn("store.forgetful_file_system", {{"file_system", system}});
  }
  auto sleeping = JAM_TRY(unless_damaged(database->sleeping(), logger, "store.timers_damaged"));
  auto module_hashes = JAM_TRY(unless_damaged(database->module_hashes(), logger, "store.modules_damaged"));
  // make_unique cannot reach the constructor.
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(database), std::move(own), logger, std::move(broken)));
  store->sleeping_ = std::move(sleeping);
  store->module_hashes_ = std::move(module_hashes);
  store->look_at_free_space();
  store->writer_ = std::thread([self = store.get()] { self->write_all(); });
  store->packer_ = std::thread([self = store.get()] { self->pack_all(); });
  pthread_setname_np(store->writer_.native_handle(), "store-writer");
  pthread_setname_np(store->packer_.native_handle(), "store-packer");
  return store;
}

SqliteStore::SqliteStore(std::unique_ptr<Database> database, SqliteStoreOptions options, Logger& logger, Broken broken)
    : options_(std::move(options)),
      buffers_(options_.database.buffers),
      database_(std::move(database)),
      logger_(logger),
      broken_(std::move(broken)),
      next_key_(database_->next_key()) {}

SqliteStore::~SqliteStore() { stop(); }

void SqliteStore::submit(Batch batch, Done done) {
  std::vector<Batch::Checkpointed> checkpoints = std::exchange(batch.checkpoints, {});
  push(Submitted{.batch = std::move(batch), .done = std::move(done)});
  // Behind the events that they cover.
  if (!checkpoints.empty()) {
    backlog_bytes_.fetch_add(bytes_of(checkpoints), std::memory_order_relaxed);
    {
      const std::scoped_lock lock(mutex_);
      raw_.push_back(std::move(checkpoints));
    }
    packer_wakes_.notify_one();
  }
}

void SqliteStore::find(RoomName name, Extent extent, Found found) {
  run([this, name = std::move(name), extent, found = std::move(found)](Database&) mutable {
    found(read(name, extent));
  });
}

void SqliteStore::keep_fault(StoredRoom room) {
  run([this, room = std::move(room)](Database& database) { write_fault(database.directory() / "faults", room); });
}

// A help for people: that it cannot be written is logged and no more.
void SqliteStore::write_fault(const std::filesystem::path& directory, const StoredRoom& room) {
  const std::string bytes = to_room_file(room);
  if (bytes.size() > options_.fault_file_bytes_max || is_full()) {
    logger_.info("store.fault_not_written", {{"room", room.name.id}, {"bytes", bytes.size()}});
    return;
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    files.emplace_back(entry.last_write_time(error), entry.path());
  }
  std::ranges::sort(files);
  for (std::size_t i = 0; i + options_.fault_files_max <= files.size(); ++i) {
    std::filesystem::remove(files[i].second, error);
  }
  const std::uint64_t number = room.tail.empty() ? 0 : room.tail.back().number;
  // Numbers only: an id is no file name.
  const std::filesystem::path file =
      directory / fmt::format("room-{}-event-{}.room", static_cast<std::uint64_t>(room.key), number);
  std::filesystem::remove(file, error);
  (void)make_private_file(file);  // What goes wrong is what goes wrong with the next line, too.
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out.good()) {
    logger_.info("store.fault_written", {{"room", room.name.id}, {"file", file.string()}});
  } else {
    logger_.warn("store.fault_not_written", {{"room", room.name.id}, {"file", file.string()}});
  }
}

void SqliteStore::run(Work work) { push(std::move(work)); }

bool SqliteStore::try_run(Work work) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) {
      return false;
    }
    jobs_.emplace_back(std::move(work));
  }
  changed_.notify_one();
  return true;
}

void SqliteStore::push(Job job) {
  {
    const std::scoped_lock lock(mutex_);
    JAM_CHECK(!stopping_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();  // Without the lock: it would wake to wait for that.
}

void SqliteStore::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  packer_wakes_.notify_one();
  changed_.notify_one();
  if (packer_.joinable()) {
    packer_.join();
  }
  if (writer_.joinable()) {
    writer_.join();
  }
}

void SqliteStore::write_all() {
  const auto is_nothing = [](const Turn& turn) {
    return turn.jobs.empty() && turn.beside.empty() && turn.behind.empty();
  };
  for (Turn turn = wait_for_turn(); !is_nothing(turn); turn = wait_for_turn()) {
    carry_out(std::move(turn));
  }
}

SqliteStore::Turn SqliteStore::wait_for_turn() {
  const auto has_news = [this] {
    return !jobs_.empty() || !packed_.empty() || (stopping_ && raw_.empty() && !packing_);
  };
  std::unique_lock lock(mutex_);
  while (is_full() && !changed_.wait_for(lock, kFullDiskPause, has_news)) {
    lock.unlock();  // A disk in trouble may take its time to answer.
    look_at_free_space();
    lock.lock();
  }
  changed_.wait(lock, has_news);
  Turn turn{.jobs = std::exchange(jobs_, {}), .beside = take_packed(kCheckpointBytesBeside), .behind = {}};
  if (!packed_.empty() && turn.beside.empty()) {
    turn.behind = take_packed(std::max(kCheckpointBytesBehind, packed_.front().checkpoint.bytes.size()));
  }
  return turn;
}

// The first few that are not more than that together.
SqliteStore::Packed SqliteStore::take_packed(std::size_t bytes_max) {
  Packed taken;
  while (!packed_.empty() && packed_.front().checkpoint.bytes.size() <= bytes_max) {
    bytes_max -= packed_.front().checkpoint.bytes.size();
    backlog_bytes_.fetch_sub(packed_.front().checkpoint.bytes.size(), std::memory_order_relaxed);
    taken.push_back(std::move(packed_.front()));
    packed_.pop_front();
  }
  return taken;
}

void SqliteStore::carry_out(Turn turn) {
  std::vector<Batch> batches;
  std::vector<Done> waiting;
  Packed none;
  for (Job& job : turn.jobs) {
    if (auto* submitted = std::get_if<Submitted>(&job)) {
      batches.push_back(std::move(submitted->batch));
      waiting.push_back(std::move(submitted->done));
    } else {
      commit(batches, none, waiting);
      std::get<Work>(job)(*database_);
    }
  }
  commit(batches, turn.beside, waiting);
  commit(batches, turn.behind, waiting);
  done_or_end(database_->tend_log());  // With nobody waiting: it takes milliseconds.
}

void SqliteStore::commit(std::vector<Batch>& batches, Packed& checkpoints, std::vector<Done>& waiting) {
  if (batches.empty() && checkpoints.empty()) {
    return;
  }
  const bool nothing_new = checkpoints.empty() && std::ranges::all_of(batches, &Batch::empty);
  if (!nothing_new) {
    const bool is_watched = options_.watch_checkpoints != nullptr && !checkpoints.empty();
    if (is_watched) {
      write(batches, {});
      show_checkpoints(checkpoints);
    }
    write(is_watched ? std::span<const Batch>() : batches, checkpoints);
    count_written(batches, checkpoints);
  }
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i]) {
      waiting[i](std::move(batches[i]));
    }
  }
  batches.clear();
  checkpoints.clear();
  waiting.clear();
}

// One page may lead to all rooms: that of the index, in a small file.
Result<std::optional<StoredRoom>> SqliteStore::read(const RoomName& name, Extent extent) {
  auto room = database_->read(name, extent);
  if (room || room.error().code != ErrorCode::Malformed || !database_->has_damaged_pages() || has_mended_to_read_) {
    return room;
  }
  has_mended_to_read_ = true;
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(database_->directory() / "rooms.db", error);
  if (error || bytes > kMendedToReadBytesMax) {
    return room;
  }
  return mend(room.error()) ? database_->read(name, extent) : std::move(room);
}

void SqliteStore::write(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints) {
  auto done = database_->write(batches, checkpoints);
  if (!done && done.error().code == ErrorCode::Malformed) {
    if (mend(done.error())) {
      done = database_->write(batches, checkpoints);
    }
  }
  done_or_end(done);
}

// A page is damaged that whatever is written leads to. All that was committed is on disk; the rest comes again.
bool SqliteStore::mend(const Error& cause) {
  logger_.error("store.damaged", {{"why", cause.message}});
  const std::filesystem::path directory = database_->directory();
  DatabaseOptions options = options_.database;
  options.mend = DatabaseOptions::Mend::Now;
  database_.reset();  // Before the folder is opened again.
  auto mended = Database::open(directory, options);
  if (!mended) {
    logger_.error("store.not_mended", {{"why", mended.error().message}});
    // As it is, then.
    auto again = Database::open(directory, options_.database);
    if (!again) {
      done_or_end(std::unexpected(again.error()));
    }
    database_ = std::move(*again);
    return false;
  }
  database_ = std::move(*mended);
  log_mended(cause.message, database_->mended()->losses, logger_);
  return true;
}

void SqliteStore::done_or_end(const Result<void>& done) {
  if (!done) {
    broken_(done.error());
    std::abort();  // Nobody may hear of what was not kept.
  }
}

// Damage is found by whoever needs what is damaged.
void SqliteStore::show_checkpoints(const Packed& checkpoints) {
  for (const PackedCheckpoint& packed : checkpoints) {
    auto room = database_->read(packed.key);
    auto checkpoint = unpack(packed);
    if (room && room->has_value() && checkpoint) {
      options_.watch_checkpoints(std::move(**room), std::move(*checkpoint));
    }
  }
}

void SqliteStore::pack_all() {
  for (;;) {
    std::vector<Batch::Checkpointed> raw;
    {
      std::unique_lock lock(mutex_);
      packer_wakes_.wait(lock, [this] { return !raw_.empty() || stopping_; });
      if (raw_.empty()) {
        return;
      }
      raw = std::move(raw_.front());
      raw_.pop_front();
      packing_ = true;
    }
    for (const Batch::Checkpointed& each : raw) {
      PackedCheckpoint packed = pack(each);
      // Added first: it is behind until the writer has taken them.
      backlog_bytes_.fetch_add(packed.checkpoint.bytes.size(), std::memory_order_relaxed);
      backlog_bytes_.fetch_sub(each.checkpoint.bytes.size(), std::memory_order_relaxed);
      {
        const std::scoped_lock lock(mutex_);
        packed_.push_back(std::move(packed));
      }
      changed_.notify_one();
    }
    {
      const std::scoped_lock lock(mutex_);
      packing_ = false;
    }
    changed_.notify_one();
  }
}

void SqliteStore::count_written(const std::vector<Batch>& batches, const Packed& checkpoints) {
  std::uint64_t written = 0;
  for (const Batch& batch : batches) {
    written += batch.bytes.size();
  }
  for (const PackedCheckpoint& packed : checkpoints) {
    written += packed.checkpoint.bytes.size();
  }
  bytes_until_look_ -= std::min(written, bytes_until_look_);
  if (commits_until_look_-- == 0 || bytes_until_look_ == 0) {
    look_at_free_space();
  }
}

void SqliteStore::look_at_free_space() {
  commits_until_look_ = kCommitsPerLook;
  bytes_until_look_ = options_.free_bytes_min / kLooksPerReserve;
  const auto free_bytes = options_.free_bytes(database_->directory());
  if (!free_bytes) {
    return;
  }
  const bool full = *free_bytes < options_.free_bytes_min;
  if (full != full_.exchange(full)) {
    logger_.warn(full ? "store.disk_full" : "store.disk_has_space",
                 {{"free_bytes", *free_bytes}, {"needed_bytes", options_.free_bytes_min}});
  }
}

}  // namespace jamsocket::store
