#include "store/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/check.hpp"
#include "store/mend.hpp"

namespace jamsocket::store {
namespace {

constexpr const char* kFileName = "rooms.db";
// What a file was before it was made anew.
constexpr const char* kDamagedName = "rooms.db.damaged";
constexpr std::size_t kRowsWorkedUp = 64;
// With history kept, rows that nothing needs lie behind some that a few rooms hold back: more than so many are not kept
// in memory.
constexpr std::size_t kRowsMax = 100'000;
constexpr std::uint64_t kAll = ~std::uint64_t{0};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& directory,
                                                 const DatabaseOptions& options) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(directory, error);
  if (error) {
    return fail(ErrorCode::Io,
                fmt::format("the data directory {} cannot be made: {}", directory.string(), error.message()));
  }
  if (made) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);  // Rooms are their users' data.
  }
  return open_locked(directory, options, JAM_TRY(LockFile::take(directory, options.lock_wait)));
}

Result<std::unique_ptr<Database>> Database::open_locked(const std::filesystem::path& directory,
                                                        const DatabaseOptions& options,
                                                        std::unique_ptr<LockFile> lock) {
  const std::string file = directory / kFileName;
  const auto explain = [&file](Error cause) {
    return std::unexpected(Error{cause.code, fmt::format("{}: {}", file, cause.message)});
  };
  auto page_checks = std::make_unique<PageChecks>(options.vfs, options.wal_bytes_ahead);
  if (const auto done = WriteAhead::discard_worked_in(page_checks->vfs_name(), file, *lock); !done) {
    return explain(done.error());
  }
  if (options.vfs.empty()) {
    // SQLite would let everybody read it, and with it its write-ahead log. What goes wrong here it says by itself.
    (void)make_private_file(file);
  }
  auto connection = Connection::open(file, Connection::Mode::ReadWrite, page_checks->vfs_name());
  if (!connection) {
    return explain(connection.error());
  }
  std::unique_ptr<Database> database(
      new Database(directory, options, std::move(lock), std::move(page_checks), std::move(*connection)));
  if (const auto ready = database->prepare_file(); !ready) {
    return explain(ready.error());
  }
  const auto ready = options.mend == DatabaseOptions::Mend::Now
                         ? Result<void>(fail(ErrorCode::Malformed, "it is to be made anew"))
                         : database->get_ready();
  if (ready) {
    return database;
  }
  if (ready.error().code != ErrorCode::Malformed || options.mend == DatabaseOptions::Mend::No) {
    return explain(ready.error());
  }
  auto mended = mend(std::move(database), ready.error());
  if (!mended) {
    return explain({mended.error().code, fmt::format("{}; it cannot be mended, so restore a backup ({})",
                                                     ready.error().message, mended.error().message)});
  }
  return mended;
}

Result<void> Database::get_ready() {
  JAM_TRY_VOID(prepare_statements());
  if (options_.mend != DatabaseOptions::Mend::No) {
    JAM_TRY_VOID(look_ahead());
  }
  auto ready = build_index();
  if (!ready && ready.error().code == ErrorCode::Malformed && page_checks_->forgive_where_sound(connection_)) {
    ready = build_index();
  }
  return ready;
}

// At what a server needs at once: the timers of its rooms, and the modules, of which the one that is served is written
// at each start.
Result<void> Database::look_ahead() {
  JAM_TRY_VOID(connection_.ask("SELECT count(*) FROM room INDEXED BY room_timer WHERE timer_ms > 0"));
  JAM_TRY_VOID(connection_.ask("SELECT count(*) FROM module NOT INDEXED"));
  JAM_TRY_VOID(connection_.ask("SELECT count(*) FROM module INDEXED BY sqlite_autoindex_module_1 WHERE hash > ''"));
  return {};
}

Result<std::unique_ptr<Database>> Database::mend(std::unique_ptr<Database> damaged, const Error& cause) {
  const std::filesystem::path directory = damaged->directory_;
  DatabaseOptions options = damaged->options_;
  options.mend = DatabaseOptions::Mend::No;
  const std::filesystem::path file = directory / "rooms.db.mended";
  std::error_code error;
  const bool was_damaged = std::filesystem::exists(directory / kDamagedName, error);
  const Losses losses =
      JAM_TRY(copy_mended(damaged->connection_, *damaged->page_checks_, file,
                          {.may_be_doubtful = was_damaged, .log_is_unclear = damaged->log_is_unclear_}));
  // Its write-ahead log must not be taken for the new file's.
  damaged->sql_ = {};
  JAM_TRY_VOID(damaged->write_ahead_.work_in());
  JAM_TRY_VOID(damaged->connection_.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  std::unique_ptr<LockFile> lock = std::move(damaged->lock_);
  damaged.reset();
  JAM_TRY_VOID(take_its_place(file, directory / kFileName, directory / kDamagedName));
  auto mended = JAM_TRY(open_locked(directory, options, std::move(lock)));
  mended->mended_ = {.why = cause.message, .losses = losses};
  return mended;
}

Database::Database(std::filesystem::path directory, const DatabaseOptions& options, std::unique_ptr<LockFile> lock,
                   std::unique_ptr<PageChecks> page_checks, Connection connection)
    : directory_(std::move(directory)),
      options_(options),
      lock_(std::move(lock)),
      page_checks_(std::move(page_checks)),
      connection_(std::move(connection)),
      write_ahead_(connection_, *lock_),
      history_(connection_, options.history, options.unix_ms),
      buffers_(options.buffers != nullptr ? options.buffers : std::make_shared<Buffers>()),
      work_up_at_(options.log_bytes_max) {}

Database::~Database() {
  // Closing removes a write-ahead log that has been worked in: from here on it need not be there.
  std::ignore = write_ahead_.work_in();
}

Result<void> Database::prepare_file() {
  // EXCLUSIVE: no other connection, so that the index of the write-ahead log needs no shared memory.
  JAM_TRY_VOID(connection_.execute("PRAGMA locking_mode=EXCLUSIVE"));
  const auto found = format_of(connection_);
  if (!found && found.error().code == ErrorCode::Malformed) {
    return fail(ErrorCode::Malformed,
                fmt::format("{}; it is the first one, so restore a backup", found.error().message));
  }
  const std::int64_t format = JAM_TRY(found);
  if (format == 0) {
    if (lock_->mark().value_or(LogMark{}).frames > 0) {
      return fail(
          ErrorCode::Malformed,
          "it is empty or gone, where rooms had been kept; restore a backup, or remove the file 'lock' beside it to "
          "begin anew");
    }
    JAM_TRY_VOID(PageChecks::prepare(connection_));  // The first page is written when the mode of the journal changes.
  }
  JAM_TRY_VOID(connection_.execute("PRAGMA journal_mode=WAL"));
  JAM_TRY_VOID(connection_.execute("PRAGMA synchronous=FULL"));
  JAM_TRY_VOID(write_ahead_.attach());
  JAM_TRY_VOID(connection_.execute("PRAGMA cache_size=-16384"));
  // What a large change needs beside the log stays in memory: a server in its sandbox can open no file elsewhere.
  JAM_TRY_VOID(connection_.execute("PRAGMA temp_store=MEMORY"));
  JAM_TRY_VOID(bring_up(connection_, format));
  if (format != 0) {
    JAM_TRY_VOID(PageChecks::bring_up(connection_));
  }
  JAM_TRY_VOID(write_ahead_.committed());
  return tend_log();
}

Result<void> Database::prepare_statements() {
  sql_.create = JAM_TRY(connection_.prepare("INSERT INTO room(key, service, id, birth, crc) VALUES(?, ?, ?, ?, ?)"));
  sql_.remove = JAM_TRY(connection_.prepare("DELETE FROM room WHERE key = ?"));
  sql_.remove_checkpoint = JAM_TRY(connection_.prepare("DELETE FROM checkpoint WHERE room = ?"));
  sql_.append = JAM_TRY(connection_.prepare("INSERT INTO log VALUES(?, ?, ?)"));
  sql_.checkpoint = JAM_TRY(connection_.prepare(
      "INSERT INTO checkpoint SELECT ?1, ?2, ?3, ?4 WHERE EXISTS(SELECT 1 FROM room WHERE key = ?1) "
      "ON CONFLICT(room) DO UPDATE SET number = ?2, timer_ms = ?3, body = ?4 WHERE number < ?2"));
  sql_.replace_checkpoint = JAM_TRY(connection_.prepare(
      "INSERT INTO checkpoint SELECT ?1, ?2, ?3, ?4 WHERE EXISTS(SELECT 1 FROM room WHERE key = ?1) "
      "ON CONFLICT(room) DO UPDATE SET number = ?2, timer_ms = ?3, body = ?4 WHERE number <= ?2"));
  sql_.drop_row = JAM_TRY(connection_.prepare("DELETE FROM log WHERE sequence = ?"));
  sql_.set_timer = JAM_TRY(connection_.prepare("UPDATE room SET timer_ms = ?2 WHERE key = ?1 AND timer_ms <> ?2"));
  sql_.set_next_key = JAM_TRY(connection_.prepare("UPDATE counter SET value = ? WHERE name = 'next_key'"));
  sql_.find = JAM_TRY(connection_.prepare("SELECT key, birth, crc FROM room WHERE service = ? AND id = ?"));
  sql_.find_name = JAM_TRY(connection_.prepare("SELECT service, id FROM room WHERE key = ?"));
  sql_.find_checkpoint =
      JAM_TRY(connection_.prepare("SELECT number, timer_ms, length(body) FROM checkpoint WHERE room = ?"));
  sql_.row_body = JAM_TRY(connection_.prepare("SELECT body FROM log WHERE sequence = ?"));
  sql_.covered = JAM_TRY(connection_.prepare(
      "SELECT coalesce(c.number, 0) FROM room LEFT JOIN checkpoint c ON c.room = room.key WHERE room.key = ?"));
  return history_.open();
}

Result<void> Database::build_index() {
  rows_.clear();
  tails_.clear();
  dead_rows_.clear();
  log_bytes_ = 0;
  held_back_bytes_ = 0;
  sql_.row_body.reset();
  sql_.covered.reset();
  next_key_ = static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT value FROM counter WHERE name = 'next_key'")));
  // No key is used twice, were the counter damaged.
  const auto highest = static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT coalesce(max(key), 0) FROM room")));
  next_key_ = std::max(next_key_, highest + 1);
  doubtful_below_ =
      static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT value FROM counter WHERE name = 'doubtful_below'")));
  const auto last = static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT max(sequence) FROM log")));
  next_sequence_ = std::max(last + 1, history_.floor());
  Statement rows = JAM_TRY(
      connection_.prepare("SELECT sequence, directory, length(body) FROM log WHERE sequence >= ? ORDER BY sequence"));
  rows.bind(1, history_.floor());
  while (JAM_TRY(rows.step())) {
    const std::uint64_t sequence = rows.number(0);
    const auto runs = parse_directory(sequence, rows.blob(1));
    if (runs) {
      index_runs(sequence, rows.number(2), *runs);
      continue;
    }
    // The records themselves say whose they are.
    sql_.row_body.bind(1, sequence);
    if (!JAM_TRY(sql_.row_body.step())) {
      return fail(ErrorCode::Malformed, "the log's table and its index disagree");
    }
    auto indexed = index_row(sequence, rows.blob(1), sql_.row_body.blob(0));
    sql_.row_body.reset();
    JAM_TRY_VOID(indexed);
  }
  std::vector<RoomKey> keys;
  keys.reserve(tails_.size());
  for (const auto& [key, tail] : tails_) {
    keys.push_back(key);
    next_key_ = std::max(next_key_, static_cast<std::uint64_t>(key) + 1);
  }
  for (const RoomKey key : keys) {
    // Of a room that is no more, everything is covered.
    const auto covered = JAM_TRY(covered_number(key));
    cover(key, covered.value_or(kAll));
  }
  return {};
}

Result<void> Database::index_row(std::uint64_t sequence, std::string_view directory, std::string_view body) {
  RowReader reader(sequence, body);
  RowWriter again(sequence);
  RowRecord record;
  for (auto step = reader.next(record); step != RowReader::Step::End; step = reader.next(record)) {
    if (step != RowReader::Step::Record) {
      log_is_unclear_ = true;
      return fail(ErrorCode::Malformed,
                  fmt::format("row {} of the log is damaged in two places, and with it rooms that cannot be named "
                              "(its directory has {} bytes); restore a backup",
                              sequence, directory.size()));
    }
    again.add(record);
  }
  index_runs(sequence, body.size(), again.runs());
  return {};
}

void Database::index_runs(std::uint64_t sequence, std::size_t bytes, const std::vector<RowRun>& runs) {
  RowUse& use = rows_[sequence];
  use.bytes = static_cast<std::uint32_t>(bytes);
  log_bytes_ += bytes;
  for (const RowRun& run : runs) {
    Tail& tail = tails_[run.key];
    if (tail.rows.empty() || tail.rows.back().sequence != sequence) {
      tail.rows.push_back({.sequence = sequence, .last = run.last()});
      ++use.rooms;
    }
    tail.rows.back().last = std::max(tail.rows.back().last, run.last());
    if (run.last() >= tail.last) {
      tail.last = run.last();
      tail.timer_ms = run.timer_ms;
    }
  }
}

Result<std::optional<std::uint64_t>> Database::covered_number(RoomKey key) {
  sql_.covered.bind(1, static_cast<std::uint64_t>(key));
  std::optional<std::uint64_t> number;
  if (JAM_TRY(sql_.covered.step())) {
    number = sql_.covered.number(0);
  }
  sql_.covered.reset();
  return number;
}

Result<void> Database::commit(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints) {
  JAM_TRY_VOID(write(batches, checkpoints));
  return tend_log();
}

Result<void> Database::tend_log() {
  auto done = write_ahead_.keep_short(frames_max());
  if (!done) {
    write_ahead_.distrust();
  }
  return done;
}

Result<void> Database::write(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints) {
  auto done = write_all(batches, checkpoints);
  if (!done) {
    write_ahead_.distrust();
  }
  return done;
}

Result<void> Database::write_all(std::span<const Batch> batches, std::span<const PackedCheckpoint> checkpoints) {
  Transaction transaction(connection_);
  JAM_TRY_VOID(transaction.begin());
  for (const Batch& batch : batches) {
    for (const RoomKey key : batch.removed) {  // First: its name may be another room's in the same batch.
      JAM_TRY_VOID(write_removed(key));
    }
    JAM_TRY_VOID(write_created(batch));
  }
  JAM_TRY_VOID(write_records(batches));
  for (const Batch& batch : batches) {
    for (const RoomKey key : batch.removed) {
      cover(key, kAll);
    }
  }
  for (const PackedCheckpoint& packed : checkpoints) {
    JAM_TRY_VOID(write_checkpoint(packed, sql_.checkpoint));
  }
  for (const Batch& batch : batches) {
    for (const PackedCheckpoint& packed : batch.replaced) {
      JAM_TRY_VOID(write_checkpoint(packed, sql_.replace_checkpoint));
    }
  }
  if (log_bytes_ + held_back_bytes_ > work_up_at_ || rows_.size() > kRowsMax) {
    JAM_TRY_VOID(work_up_oldest_rows());
  }
  JAM_TRY_VOID(drop_dead_rows());
  JAM_TRY_VOID(keep_history_up());
  JAM_TRY_VOID(transaction.commit());
  return write_ahead_.committed();
}

Result<void> Database::write_created(const Batch& batch) {
  if (batch.created.empty()) {
    return {};
  }
  for (const Batch::Created& room : batch.created) {
    next_key_ = std::max(next_key_, static_cast<std::uint64_t>(room.key) + 1);
    sql_.create.bind(1, static_cast<std::uint64_t>(room.key));
    sql_.create.bind_blob(2, room.name.service);
    sql_.create.bind_blob(3, room.name.id);
    sql_.create.bind_blob(4, room.birth);
    sql_.create.bind(5, std::uint64_t{birth_checksum(room.name, room.birth)});
    JAM_TRY_VOID(sql_.create.run());
  }
  sql_.set_next_key.bind(1, next_key_);
  return sql_.set_next_key.run();
}

Result<void> Database::write_row(const RowWriter& row) {
  const std::string directory = row.directory();
  sql_.append.bind(1, row.sequence());
  sql_.append.bind_blob(2, directory);
  sql_.append.bind_blob(3, row.body());
  JAM_TRY_VOID(sql_.append.run());
  index_runs(row.sequence(), row.body().size(), row.runs());
  return {};
}

Result<void> Database::write_records(std::span<const Batch> batches) {
  std::optional<RowWriter> row;
  for (const Batch& batch : batches) {
    for (const Batch::Appended& record : batch.appended) {
      if (!row) {
        row.emplace(next_sequence_++);
      }
      row->add(
          {.key = record.key, .number = record.number, .timer_ms = record.timer_ms, .bytes = batch.bytes_of(record)});
      if (row->body().size() >= options_.row_bytes) {
        JAM_TRY_VOID(write_row(*row));
        row.reset();
      }
    }
  }
  return row ? write_row(*row) : Result<void>{};
}

Result<void> Database::write_checkpoint(const PackedCheckpoint& packed, Statement& statement) {
  const auto key = static_cast<std::uint64_t>(packed.key);
  const Checkpoint& checkpoint = packed.checkpoint;
  if (history_.is_kept()) {
    JAM_TRY_VOID(history_.keep_checkpoint(packed.key, checkpoint.number));
  }
  statement.bind(1, key);
  statement.bind(2, checkpoint.number);
  statement.bind(3, checkpoint.timer_ms);
  statement.bind_blob(4, checkpoint.bytes);
  JAM_TRY_VOID(statement.run());
  sql_.set_timer.bind(1, key);
  sql_.set_timer.bind(2, checkpoint.timer_ms);
  JAM_TRY_VOID(sql_.set_timer.run());
  cover(packed.key, checkpoint.number);
  return {};
}

Result<void> Database::write_removed(RoomKey key) {
  sql_.remove.bind(1, static_cast<std::uint64_t>(key));
  JAM_TRY_VOID(sql_.remove.run());
  sql_.remove_checkpoint.bind(1, static_cast<std::uint64_t>(key));
  JAM_TRY_VOID(sql_.remove_checkpoint.run());
  JAM_TRY_VOID(history_.forget_room(key));
  cover(key, kAll);
  return {};
}

// Forgets where the records up to `number` are.
void Database::cover(RoomKey key, std::uint64_t number) {
  const auto found = tails_.find(key);
  if (found == tails_.end()) {
    return;
  }
  std::erase_if(found->second.rows, [&](const TailRow& row) {
    if (row.last > number) {
      return false;
    }
    release(row.sequence);
    return true;
  });
  if (found->second.rows.empty()) {
    tails_.erase(found);
  }
}

void Database::release(std::uint64_t sequence) {
  const auto row = rows_.find(sequence);
  JAM_CHECK(row != rows_.end() && row->second.rooms > 0);
  if (--row->second.rooms == 0) {
    log_bytes_ -= row->second.bytes;
    if (history_.is_kept()) {
      held_back_bytes_ += row->second.bytes;
    } else {
      dead_rows_.push_back(sequence);
      rows_.erase(row);
    }
  }
}

Result<void> Database::drop_dead_rows() {
  for (const std::uint64_t sequence : std::exchange(dead_rows_, {})) {
    sql_.drop_row.bind(1, sequence);
    JAM_TRY_VOID(sql_.drop_row.run());
  }
  return {};
}

// Rows that nothing needs are history once none before them is needed either.
void Database::make_history() {
  while (!rows_.empty() && rows_.begin()->second.rooms == 0) {
    held_back_bytes_ -= rows_.begin()->second.bytes;
    history_.add_row(rows_.begin()->second.bytes);
    rows_.erase(rows_.begin());
  }
}

Result<void> Database::keep_history_up() {
  make_history();
  return history_.keep_up(rows_.empty() ? next_sequence_ : rows_.begin()->first, next_sequence_);
}

// Copies what is still needed of the oldest rows to the log's end, so that they can go. Where nearly all
// is needed this gains nothing: the next time is when the log has doubled.
Result<void> Database::work_up_oldest_rows() {
  std::vector<std::uint64_t> oldest;
  for (auto row = rows_.begin(); row != rows_.end() && oldest.size() < kRowsWorkedUp; ++row) {
    if (row->second.rooms > 0) {
      oldest.push_back(row->first);
    }
  }
  const std::uint64_t before = log_bytes_ + held_back_bytes_;
  RowWriter fresh(next_sequence_++);
  for (const std::uint64_t sequence : oldest) {
    sql_.row_body.bind(1, sequence);
    if (!JAM_TRY(sql_.row_body.step())) {
      return fail(ErrorCode::Malformed, fmt::format("row {} of the log is gone", sequence));
    }
    const std::string body(sql_.row_body.blob(0));
    sql_.row_body.reset();
    RowReader reader(sequence, body);
    RowRecord record;
    for (auto step = reader.next(record); step != RowReader::Step::End; step = reader.next(record)) {
      if (step != RowReader::Step::Record) {
        work_up_at_ = 2 * before;  // Damaged: left where it is, for its rooms to be put aside.
        return {};
      }
      if (const auto tail = tails_.find(record.key); tail != tails_.end() && !tail->second.rows.empty()) {
        const auto covered = JAM_TRY(covered_number(record.key));
        if (covered && record.number > *covered) {
          fresh.add(record);
        }
      }
    }
  }
  for (auto& [key, tail] : tails_) {
    std::erase_if(tail.rows, [&](const TailRow& row) {
      if (row.sequence > oldest.back()) {
        return false;
      }
      release(row.sequence);
      return true;
    });
  }
  JAM_TRY_VOID(fresh.empty() ? Result<void>{} : write_row(fresh));
  std::erase_if(tails_, [](const auto& entry) { return entry.second.rows.empty(); });
  make_history();
  const std::uint64_t after = log_bytes_ + held_back_bytes_;
  work_up_at_ = after * 10 > before * 9 ? 2 * after : options_.log_bytes_max;
  return {};
}

}  // namespace jamsocket::store
