#include "store/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4A414D53;  // "JAMS"
constexpr const char* kFileName = "rooms.db";
constexpr std::size_t kRowsWorkedUp = 64;
constexpr std::uint64_t kAll = ~std::uint64_t{0};

constexpr const char* kSchema = R"(
CREATE TABLE room(key INTEGER PRIMARY KEY, service BLOB NOT NULL, id BLOB NOT NULL, birth BLOB NOT NULL,
                  crc INTEGER NOT NULL, timer_ms INTEGER NOT NULL DEFAULT 0, UNIQUE(service, id));
CREATE INDEX room_timer ON room(timer_ms) WHERE timer_ms > 0;
CREATE TABLE checkpoint(room INTEGER PRIMARY KEY, number INTEGER NOT NULL, timer_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE log(sequence INTEGER PRIMARY KEY, directory BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE module(hash TEXT PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counter VALUES('next_key', 1);
)";

std::uint32_t birth_checksum(const RoomName& name, std::string_view birth) {
  return checksum(fmt::format("{}\n{}\n{}", name.service.size(), name.service, name.id), birth);
}

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
  auto lock = JAM_TRY(LockFile::take(directory));
  const std::string file = directory / kFileName;
  const auto explain = [&file](Error cause) {
    return std::unexpected(Error{cause.code, fmt::format("{}: {}", file, cause.message)});
  };
  auto page_checks = std::make_unique<PageChecks>(options.vfs, options.wal_bytes_ahead);
  if (const auto done = WriteAhead::discard_worked_in(page_checks->vfs_name(), file, *lock); !done) {
    return explain(done.error());
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
  if (const auto ready = database->prepare_statements(); !ready) {
    return explain(ready.error());
  }
  auto ready = database->build_index();
  if (!ready && ready.error().code == ErrorCode::Malformed &&
      database->page_checks_->forgive_where_sound(database->connection_)) {
    ready = database->build_index();
  }
  if (!ready) {
    return explain(ready.error());
  }
  return database;
}

Database::Database(std::filesystem::path directory, const DatabaseOptions& options, std::unique_ptr<LockFile> lock,
                   std::unique_ptr<PageChecks> page_checks, Connection connection)
    : directory_(std::move(directory)),
      options_(options),
      lock_(std::move(lock)),
      page_checks_(std::move(page_checks)),
      connection_(std::move(connection)),
      write_ahead_(connection_, *lock_),
      work_up_at_(options.log_bytes_max) {}

Database::~Database() {
  // Closing removes a write-ahead log that has been worked in: from here on it need not be there.
  (void)write_ahead_.work_in();
}

Result<void> Database::prepare_file() {
  // EXCLUSIVE: no other connection, so that the index of the write-ahead log needs no shared memory.
  JAM_TRY_VOID(connection_.execute("PRAGMA locking_mode=EXCLUSIVE"));
  const std::int64_t application = JAM_TRY(connection_.ask("PRAGMA application_id"));
  const std::int64_t version = JAM_TRY(connection_.ask("PRAGMA user_version"));
  const bool is_new = JAM_TRY(connection_.ask("SELECT count(*) FROM sqlite_schema")) == 0;
  if (is_new && lock_->mark().value_or(LogMark{}).frames > 0) {
    return fail(
        ErrorCode::Malformed,
        "it is empty or gone, where rooms had been kept; restore a backup, or remove the file 'lock' beside it to "
        "begin anew");
  }
  if (!is_new && application != kApplicationId) {
    return fail(ErrorCode::Unsupported, "this is a SQLite file of another program");
  }
  if (!is_new && version > kFormatVersion) {
    return fail(ErrorCode::Unsupported,
                fmt::format("a newer version of Jamsocket wrote it (format {}; this one reads up to {})", version,
                            kFormatVersion));
  }
  if (is_new) {
    JAM_TRY_VOID(PageChecks::prepare(connection_));  // The first page is written when the mode of the journal changes.
  }
  JAM_TRY_VOID(connection_.execute("PRAGMA journal_mode=WAL"));
  JAM_TRY_VOID(connection_.execute("PRAGMA synchronous=FULL"));
  JAM_TRY_VOID(write_ahead_.attach());
  JAM_TRY_VOID(connection_.execute("PRAGMA cache_size=-16384"));
  if (is_new) {
    Transaction transaction(connection_);
    JAM_TRY_VOID(transaction.begin());
    JAM_TRY_VOID(connection_.execute(kSchema));
    JAM_TRY_VOID(connection_.execute(fmt::format("PRAGMA application_id={}", kApplicationId)));
    JAM_TRY_VOID(connection_.execute(fmt::format("PRAGMA user_version={}", kFormatVersion)));
    JAM_TRY_VOID(transaction.commit());
    return write_ahead_.committed(frames_max());
  }
  JAM_TRY_VOID(PageChecks::bring_up(connection_));
  return write_ahead_.committed(frames_max());
}

Result<void> Database::prepare_statements() {
  sql_.create = JAM_TRY(connection_.prepare("INSERT INTO room(key, service, id, birth, crc) VALUES(?, ?, ?, ?, ?)"));
  sql_.remove = JAM_TRY(connection_.prepare("DELETE FROM room WHERE key = ?"));
  sql_.remove_checkpoint = JAM_TRY(connection_.prepare("DELETE FROM checkpoint WHERE room = ?"));
  sql_.append = JAM_TRY(connection_.prepare("INSERT INTO log VALUES(?, ?, ?)"));
  sql_.checkpoint = JAM_TRY(connection_.prepare(
      "INSERT INTO checkpoint SELECT ?1, ?2, ?3, ?4 WHERE EXISTS(SELECT 1 FROM room WHERE key = ?1) "
      "ON CONFLICT(room) DO UPDATE SET number = ?2, timer_ms = ?3, body = ?4 WHERE number < ?2"));
  sql_.drop_row = JAM_TRY(connection_.prepare("DELETE FROM log WHERE sequence = ?"));
  sql_.set_timer = JAM_TRY(connection_.prepare("UPDATE room SET timer_ms = ?2 WHERE key = ?1 AND timer_ms <> ?2"));
  sql_.set_next_key = JAM_TRY(connection_.prepare("UPDATE counter SET value = ? WHERE name = 'next_key'"));
  sql_.find = JAM_TRY(connection_.prepare("SELECT key, birth, crc FROM room WHERE service = ? AND id = ?"));
  sql_.find_checkpoint = JAM_TRY(connection_.prepare("SELECT number, timer_ms, body FROM checkpoint WHERE room = ?"));
  sql_.row_body = JAM_TRY(connection_.prepare("SELECT body FROM log WHERE sequence = ?"));
  sql_.covered = JAM_TRY(connection_.prepare(
      "SELECT coalesce(c.number, 0) FROM room LEFT JOIN checkpoint c ON c.room = room.key WHERE room.key = ?"));
  return {};
}

Result<void> Database::build_index() {
  rows_.clear();
  tails_.clear();
  dead_rows_.clear();
  log_bytes_ = 0;
  sql_.row_body.reset();
  sql_.covered.reset();
  next_key_ = static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT value FROM counter WHERE name = 'next_key'")));
  // No key is used twice, were the counter damaged.
  const auto highest = static_cast<std::uint64_t>(JAM_TRY(connection_.ask("SELECT coalesce(max(key), 0) FROM room")));
  next_key_ = std::max(next_key_, highest + 1);
  Statement rows = JAM_TRY(connection_.prepare("SELECT sequence, directory, length(body) FROM log ORDER BY sequence"));
  while (JAM_TRY(rows.step())) {
    const std::uint64_t sequence = rows.number(0);
    next_sequence_ = sequence + 1;
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
    JAM_TRY_VOID(write_checkpoint(packed));
  }
  if (log_bytes_ > work_up_at_) {
    JAM_TRY_VOID(work_up_oldest_rows());
  }
  JAM_TRY_VOID(drop_dead_rows());
  JAM_TRY_VOID(transaction.commit());
  return write_ahead_.committed(frames_max());
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

Result<void> Database::write_checkpoint(const PackedCheckpoint& packed) {
  const auto key = static_cast<std::uint64_t>(packed.key);
  const Checkpoint& checkpoint = packed.checkpoint;
  sql_.checkpoint.bind(1, key);
  sql_.checkpoint.bind(2, checkpoint.number);
  sql_.checkpoint.bind(3, checkpoint.timer_ms);
  sql_.checkpoint.bind_blob(4, checkpoint.bytes);
  JAM_TRY_VOID(sql_.checkpoint.run());
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
    dead_rows_.push_back(sequence);
    rows_.erase(row);
  }
}

Result<void> Database::drop_dead_rows() {
  for (const std::uint64_t sequence : std::exchange(dead_rows_, {})) {
    sql_.drop_row.bind(1, sequence);
    JAM_TRY_VOID(sql_.drop_row.run());
  }
  return {};
}

// Copies what is still needed of the oldest rows to the log's end, so that they can go. Where nearly all
// is needed this gains nothing: the next time is when the log has doubled.
Result<void> Database::work_up_oldest_rows() {
  std::vector<std::uint64_t> oldest;
  for (auto row = rows_.begin(); row != rows_.end() && oldest.size() < kRowsWorkedUp; ++row) {
    oldest.push_back(row->first);
  }
  const std::uint64_t before = log_bytes_;
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
        work_up_at_ = 2 * log_bytes_;  // Damaged: left where it is, for its rooms to be put aside.
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
  for (auto tail = tails_.begin(); tail != tails_.end(); ++tail) {
    std::erase_if(tail->second.rows, [&](const TailRow& row) {
      if (row.sequence > oldest.back()) {
        return false;
      }
      release(row.sequence);
      return true;
    });
  }
  JAM_TRY_VOID(fresh.empty() ? Result<void>{} : write_row(fresh));
  std::erase_if(tails_, [](const auto& entry) { return entry.second.rows.empty(); });
  work_up_at_ = log_bytes_ * 10 > before * 9 ? 2 * log_bytes_ : std::max(options_.log_bytes_max, std::uint64_t{0});
  return {};
}

Result<std::vector<Record>> Database::read_tail(RoomKey key, std::uint64_t after) {
  std::vector<Record> records;
  const auto tail = tails_.find(key);
  if (tail == tails_.end()) {
    return records;
  }
  for (const TailRow& place : tail->second.rows) {
    sql_.row_body.bind(1, place.sequence);
    if (!JAM_TRY(sql_.row_body.step())) {
      return fail(ErrorCode::Malformed, fmt::format("row {} of the log is gone", place.sequence));
    }
    RowReader reader(place.sequence, sql_.row_body.blob(0));
    RowRecord record;
    auto step = reader.next(record, key);
    for (; step == RowReader::Step::Record; step = reader.next(record, key)) {
      if (record.number > after) {
        records.push_back({.number = record.number, .timer_ms = record.timer_ms, .bytes = std::string(record.bytes)});
      }
    }
    sql_.row_body.reset();
    if (step != RowReader::Step::End) {
      return fail(ErrorCode::Malformed, fmt::format("an event in row {} of the log is damaged", place.sequence));
    }
  }
  std::ranges::sort(records, {}, &Record::number);
  std::uint64_t expected = after;
  for (const Record& record : records) {
    if (record.number != ++expected) {
      return fail(ErrorCode::Malformed,
                  fmt::format("event {} is missing: the one behind {} is {}", expected, expected - 1, record.number));
    }
  }
  if (expected != std::max(after, tail->second.last)) {
    return fail(ErrorCode::Malformed,
                fmt::format("the events behind {} are missing; the last one was {}", expected, tail->second.last));
  }
  return records;
}

Result<std::optional<StoredRoom>> Database::read(const RoomName& name) {
  sql_.find.bind_blob(1, name.service);
  sql_.find.bind_blob(2, name.id);
  if (!JAM_TRY(sql_.find.step())) {
    sql_.find.reset();
    return std::nullopt;
  }
  StoredRoom room{.key = RoomKey{sql_.find.number(0)},
                  .name = name,
                  .birth = std::string(sql_.find.blob(1)),
                  .checkpoint = {},
                  .tail = {}};
  const std::uint64_t crc = sql_.find.number(2);
  sql_.find.reset();
  if (crc != birth_checksum(name, room.birth)) {
    return fail(ErrorCode::Malformed, "what it started from is damaged");
  }
  sql_.find_checkpoint.bind(1, static_cast<std::uint64_t>(room.key));
  if (JAM_TRY(sql_.find_checkpoint.step())) {
    const PackedCheckpoint packed{.key = room.key,
                                  .checkpoint = {.number = sql_.find_checkpoint.number(0),
                                                 .timer_ms = sql_.find_checkpoint.integer(1),
                                                 .bytes = std::string(sql_.find_checkpoint.blob(2))}};
    sql_.find_checkpoint.reset();
    room.checkpoint = JAM_TRY(unpack(packed));
  } else {
    sql_.find_checkpoint.reset();
  }
  room.tail = JAM_TRY(read_tail(room.key, room.checkpoint ? room.checkpoint->number : 0));
  return room;
}

Result<std::vector<RoomSummary>> Database::list(const std::optional<RoomName>& after, std::size_t count_max) {
  Statement rows = JAM_TRY(connection_.prepare(
      "SELECT key, service, id, birth, room.timer_ms, coalesce(number, 0), coalesce(length(body), 0) FROM room "
      "LEFT JOIN checkpoint ON room = key WHERE ?1 = 0 OR (service, id) > (?2, ?3) ORDER BY service, id LIMIT ?4"));
  rows.bind(1, std::uint64_t{after ? 1U : 0U});
  rows.bind_blob(2, after ? after->service : std::string_view());
  rows.bind_blob(3, after ? after->id : std::string_view());
  rows.bind(4, std::uint64_t{count_max});
  std::vector<RoomSummary> found;
  while (JAM_TRY(rows.step())) {
    RoomSummary room{.key = RoomKey{rows.number(0)},
                     .name = {.service = std::string(rows.blob(1)), .id = std::string(rows.blob(2))},
                     .birth = std::string(rows.blob(3)),
                     .checkpoint_number = rows.number(5),
                     .checkpoint_bytes = rows.number(6),
                     .last_number = rows.number(5),
                     .timer_ms = rows.integer(4)};
    if (const auto tail = tails_.find(room.key); tail != tails_.end()) {
      room.last_number = tail->second.last;
      room.timer_ms = tail->second.timer_ms;
    }
    found.push_back(std::move(room));
  }
  return found;
}

Result<std::vector<SleepingRoom>> Database::sleeping() {
  std::vector<SleepingRoom> rooms;
  Statement timed = JAM_TRY(connection_.prepare("SELECT key, service, id, timer_ms FROM room WHERE timer_ms > 0"));
  while (JAM_TRY(timed.step())) {
    if (!tails_.contains(RoomKey{timed.number(0)})) {
      rooms.push_back({.name = {.service = std::string(timed.blob(1)), .id = std::string(timed.blob(2))},
                       .timer_ms = timed.integer(3)});
    }
  }
  Statement named = JAM_TRY(connection_.prepare("SELECT service, id FROM room WHERE key = ?"));
  for (const auto& [key, tail] : tails_) {
    if (tail.timer_ms == 0) {
      continue;
    }
    named.bind(1, static_cast<std::uint64_t>(key));
    if (JAM_TRY(named.step())) {
      rooms.push_back({.name = {.service = std::string(named.blob(0)), .id = std::string(named.blob(1))},
                       .timer_ms = tail.timer_ms});
    }
    named.reset();
  }
  return rooms;
}

Result<void> Database::keep_module(std::string_view hash, std::string_view bytes) {
  Statement keep = JAM_TRY(connection_.prepare("INSERT OR IGNORE INTO module VALUES(?, ?)"));
  keep.bind_text(1, hash);
  keep.bind_blob(2, bytes);
  JAM_TRY_VOID(keep.run());
  return write_ahead_.committed(frames_max());
}

Result<std::optional<std::string>> Database::module(std::string_view hash) {
  Statement find = JAM_TRY(connection_.prepare("SELECT bytes FROM module WHERE hash = ?"));
  find.bind_text(1, hash);
  if (!JAM_TRY(find.step())) {
    return std::nullopt;
  }
  return std::string(find.blob(0));
}

Result<std::vector<std::string>> Database::modules() {
  std::vector<std::string> found;
  Statement rows = JAM_TRY(connection_.prepare("SELECT bytes FROM module ORDER BY rowid DESC LIMIT 16"));
  while (JAM_TRY(rows.step())) {
    found.emplace_back(rows.blob(0));
  }
  return found;
}

Result<std::vector<std::string>> Database::check() {
  std::vector<std::string> wrong;
  Statement check = JAM_TRY(connection_.prepare("PRAGMA integrity_check(100)"));
  while (JAM_TRY(check.step())) {
    if (check.blob(0) != "ok") {
      wrong.emplace_back(check.blob(0));
    }
  }
  std::optional<RoomName> after;
  constexpr std::size_t kPage = 1000;
  for (;;) {
    const auto rooms = JAM_TRY(list(after, kPage));
    for (const RoomSummary& room : rooms) {
      if (const auto stored = read(room.name); !stored) {
        wrong.push_back(fmt::format("room {} of {}: {}", room.name.id, room.name.service, stored.error().message));
      }
    }
    if (rooms.size() < kPage) {
      return wrong;
    }
    after = rooms.back().name;
  }
}

Result<void> Database::compact() {
  JAM_TRY_VOID(connection_.execute("VACUUM"));
  JAM_TRY_VOID(write_ahead_.work_in());
  return connection_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> Database::backup(const std::filesystem::path& file) {
  Statement copy = JAM_TRY(connection_.prepare("VACUUM INTO ?"));
  const std::string path = file.string();
  copy.bind_text(1, path);
  return copy.run();
}

}  // namespace jamsocket::store
