// What may be wrong with the files of a data directory, entry by entry.
//
// The entries were written for a log of segments with snapshots beside it. Here the log's newest part is SQLite's
// write-ahead log, its segments are rows of a table, and snapshots are checkpoints in another, in the same
// transactions. Where each is:
//
//   S-01  log's end cut, zeros or garbage behind it:
//         TheLogsEndCutAnywhere
//   S-02  old valid records behind the new ones:
//         OldFramesBehindTheNewOnes
//   S-03  flipped bits, lengths, kinds, formats:
//         LogRow.* (log_row_test), Records.AnUnknownKind... (room/records_test), PowerLoss.AFlippedBit...
//         (power_loss_test), PageChecks.*, ADamagedTreeOfTheLog...; the newer format is in format_test
//   S-04  segments missing, twice, renamed, empty:
//         ARow..., AnEmptyRow..., TheFile...; two of one number cannot be, it is the table's key
//   S-05  snapshots cut, flipped, another room's, too new, too old, missing:
//         Checkpoint..., DatabaseTest.ADamagedCheckpoint... (database_test)
//   S-06  crash between writing and making known:
//         these are one transaction; PowerLoss.* end it at each operation
//   S-07  the n-th operation fails, short writes:
//         Faults.* (faults_test), LockFile.*; SQLite itself finishes writes that are interrupted or short:
//         tests/e2e/test_kill.py writes byte by byte
//   S-08  a sync fails once and then claims success:
//         PowerLoss.AnOperationThatFailsOnce...; SqliteStore ends the process
//   S-09  two processes:
//         LockFile.OneAtATime; tests/e2e/test_durability.py
//   S-10  full, read-only or forgetful disks:
//         SqliteStoreTest.SaysWhen..., ADirectoryThatCannotBe..., AForgetful...
//   S-11  unknown modules, states that are refused, traps on the way back:
//         DurableRoom.ARoomOfAnotherVersion..., AStateThatIsRefused... (room/durable_room_test)
//   S-12  very many records:
//         ManyRecords; JAMSOCKET_RECORDS=N plays with so many

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "store/database.hpp"
#include "store/sqlite_store.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;

namespace fs = std::filesystem;

constexpr std::size_t kFrameBytes = 24 + 4096;
constexpr std::size_t kHeaderBytes = 32;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A process's directory, and copies of it as they were when it was killed.
class BadFiles : public ::testing::Test {
 protected:
  void open(const DatabaseOptions& options = {.wal_bytes_ahead = 0}) {
    database.reset();
    auto opened = Database::open(folder.path(), options);
    ASSERT_TRUE(opened) << opened.error().message;
    database = std::move(*opened);
  }
  void commit(const Batch& batch) { ASSERT_TRUE(database->commit({&batch, 1})); }
  void checkpoint(std::uint64_t key, std::uint64_t number) {
    const PackedCheckpoint packed =
        pack({.key = RoomKey{key},
              .checkpoint = {.number = number, .timer_ms = 0, .bytes = "state " + std::to_string(number)}});
    ASSERT_TRUE(database->commit({}, {&packed, 1}));
  }
  /// Runs SQL on the closed file; its pages fit their checksums.
  void damage(const std::string& sql) {
    database.reset();
    const PageChecks page_checks("");
    auto connection = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    const auto done = connection->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  void copy_to(const fs::path& to) const { fs::copy(folder.path(), to, fs::copy_options::recursive); }
  [[nodiscard]] fs::path log() const { return folder.path() / "rooms.db-wal"; }

  /// How many events of room "a" there are in a directory, or nothing where it or the room is refused.
  static std::optional<std::uint64_t> events_in(const fs::path& directory) {
    const auto opened = Database::open(directory);
    if (!opened) {
      EXPECT_EQ(opened.error().code, ErrorCode::Malformed) << opened.error().message;
      return std::nullopt;
    }
    const auto room = (*opened)->read(name("a"));
    if (!room) {
      EXPECT_EQ(room.error().code, ErrorCode::Malformed) << room.error().message;
      return std::nullopt;
    }
    return room->has_value() ? (*room)->tail.size() + ((*room)->checkpoint ? (*room)->checkpoint->number : 0) : 0;
  }
  void expect_refused(std::string_view id) {
    open();
    const auto room = database->read(name(id));
    ASSERT_FALSE(room);
    EXPECT_EQ(room.error().code, ErrorCode::Malformed);
  }

  TemporaryFolder folder;
  std::unique_ptr<Database> database;
};

// S-01. Goal: of what was on its way when the power went, each commit is there whole or not at all, and what was known
// to be on disk is there or the directory is refused. Method: the log cut within its last three commits, and known up
// to them.
TEST_F(BadFiles, TheLogsEndCutAnywhere) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 5));
  const std::string mark = read_file(folder.path() / "lock");
  const std::string before = read_file(log());
  for (std::uint64_t number = 6; number <= 8; ++number) {
    commit(records(1, number, number));
  }
  const std::string mark_after = read_file(folder.path() / "lock");
  const std::string after = read_file(log());
  const std::string file = read_file(folder.path() / "rooms.db");
  ASSERT_EQ((after.size() - kHeaderBytes) % kFrameBytes, 0U);
  ASSERT_GE(after.size() - before.size(), 3 * kFrameBytes);
  const auto events_with = [&](std::string_view log_bytes, std::string_view mark_bytes) {
    const TemporaryFolder cut;
    write_file(cut.path() / "rooms.db", file);
    write_file(cut.path() / "rooms.db-wal", log_bytes);
    write_file(cut.path() / "lock", mark_bytes);
    return events_in(cut.path());
  };
  std::uint64_t last = 5;
  for (std::size_t size = before.size(); size < after.size(); size += 251) {
    const auto events = events_with(after.substr(0, size), mark);
    ASSERT_TRUE(events) << size;
    EXPECT_GE(*events, last) << size;
    EXPECT_LE(*events, 8U) << size;
    last = *events;
    EXPECT_FALSE(events_with(after.substr(0, size), mark_after)) << size;
  }
  EXPECT_EQ(last, 7U);
  EXPECT_FALSE(events_with(after.substr(0, before.size() - 1), mark));
  EXPECT_EQ(events_with(after + std::string(10'000, '\0'), mark_after), 8U);
  EXPECT_EQ(events_with(after + std::string(10'000, '\xA5'), mark_after), 8U);
  EXPECT_EQ(events_with(after + after.substr(kHeaderBytes), mark_after), 8U);
}

// S-02. Goal: what an earlier round of the log left behind the newest frames is not taken for more of them. Method: a
// log that began anew many times, looked at after each commit.
TEST_F(BadFiles, OldFramesBehindTheNewOnes) {
  open({.wal_bytes_ahead = 0, .wal_pages = 6});
  commit(created(1, "a"));
  int begun_anew = 0;
  for (std::uint64_t number = 1; number <= 40; ++number) {
    const std::string before = read_file(log());
    commit(records(1, number, number));
    const std::string after = read_file(log());
    begun_anew +=
        after.size() == before.size() && after.substr(0, kHeaderBytes) != before.substr(0, kHeaderBytes) ? 1 : 0;
    const TemporaryFolder copy;
    copy_to(copy.path());
    EXPECT_EQ(events_in(copy.path()), number);
  }
  EXPECT_GT(begun_anew, 3);
}

// S-04.
TEST_F(BadFiles, ARowUnderAnotherNumberIsNotRead) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  commit(records(1, 4, 6));
  damage("UPDATE log SET sequence = sequence + 100 WHERE sequence = 1");
  EXPECT_EQ(events_in(folder.path()), std::nullopt);
}

TEST_F(BadFiles, ARowTwiceIsNotReadTwice) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  damage("INSERT INTO log SELECT sequence + 100, directory, body FROM log");
  EXPECT_EQ(events_in(folder.path()), std::nullopt);
}

TEST_F(BadFiles, AnEmptyRowIsNoRow) {
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  commit(records(1, 1, 3));
  commit(records(2, 1, 1));
  damage("UPDATE log SET body = x'' WHERE sequence = 1");
  expect_refused("a");
  EXPECT_EQ(database->read(name("b")).value()->tail.size(), 1U);
}

TEST_F(BadFiles, TheFileIsADirectory) {
  fs::create_directories(folder.path() / "rooms.db");
  const auto opened = Database::open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("rooms.db"), std::string::npos) << opened.error().message;
}

// Goal: rooms are not silently none. Method: the file empty, and gone, where rooms had been kept.
TEST_F(BadFiles, TheFileIsEmptyOrGone) {
  for (const bool gone : {false, true}) {
    fs::remove_all(folder.path() / "lock");
    fs::remove_all(folder.path() / "rooms.db");
    open();
    commit(created(1, "a"));
    commit(records(1, 1, 3));
    database.reset();
    if (gone) {
      fs::remove(folder.path() / "rooms.db");
    } else {
      write_file(folder.path() / "rooms.db", "");
    }
    EXPECT_EQ(events_in(folder.path()), std::nullopt) << gone;
  }
}

// Goal: damage that hides which rooms it concerns sets aside all that there were, and not the server. Method: the
// root of the log's tree overwritten; a command refuses, a server goes on, also the next one.
TEST_F(BadFiles, ADamagedTreeOfTheLogSetsItsRoomsAsideAndNoOther) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  checkpoint(1, 2);
  for (std::uint64_t number = 4; number <= 400; ++number) {
    commit(records(1, number, number));
  }
  std::int64_t root = 0;
  {
    database.reset();
    const PageChecks page_checks("");
    const auto connection =
        Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    root = connection->ask("SELECT rootpage FROM sqlite_schema WHERE name = 'log'").value();
  }
  std::string file = read_file(folder.path() / "rooms.db");
  constexpr std::size_t kPageBytes = 4096;
  ASSERT_GE(file.size(), static_cast<std::size_t>(root) * kPageBytes);
  file.replace((static_cast<std::size_t>(root) - 1) * kPageBytes, 200, 200, '\x5A');
  write_file(folder.path() / "rooms.db", file);
  EXPECT_EQ(events_in(folder.path()), std::nullopt);

  open({.wal_bytes_ahead = 0, .mend = DatabaseOptions::Mend::WhereNeeded});
  ASSERT_TRUE(database->mended());
  EXPECT_TRUE(database->mended()->losses.log);
  EXPECT_TRUE(fs::exists(folder.path() / "rooms.db.damaged"));
  const auto refused = database->read(name("a"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Malformed);
  EXPECT_NE(refused.error().message.find("older"), std::string::npos);
  const std::uint64_t key = database->next_key();
  commit(created(key, "b"));
  commit(records(key, 1, 3));
  open();
  EXPECT_FALSE(database->mended());
  expect_refused("a");
  EXPECT_EQ(database->read(name("b")).value()->tail.size(), 3U);
  EXPECT_EQ(database->read(name("a"), Extent::Checkpoint).value()->checkpoint->number, 2U);
  EXPECT_EQ(database->check().value().size(), 1U) << "the room, and nothing of the file";
  const TemporaryFolder copy;
  ASSERT_TRUE(database->backup(copy.path() / "rooms.db"));
  const auto copied = Database::open(copy.path());
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ((*copied)->check().value().size(), 1U) << "the room, and nothing of the file";
}

// S-05. What is cut and flipped: DatabaseTest.
TEST_F(BadFiles, CheckpointOfAnotherRoom) {
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  commit(records(1, 1, 3));
  commit(records(2, 1, 3));
  checkpoint(1, 2);
  checkpoint(2, 2);
  damage("UPDATE checkpoint SET body = (SELECT body FROM checkpoint WHERE room = 2) WHERE room = 1");
  expect_refused("a");
  EXPECT_EQ(database->read(name("b")).value()->tail.size(), 1U);
}

TEST_F(BadFiles, CheckpointThatSaysItIsNewer) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  checkpoint(1, 2);
  damage("UPDATE checkpoint SET number = 3");
  expect_refused("a");
}

TEST_F(BadFiles, CheckpointOlderThanTheLogsFloor) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  checkpoint(1, 3);
  database.reset();
  TemporaryFolder old;
  copy_to(old.path());
  open();
  commit(records(1, 4, 6));
  checkpoint(1, 6);
  commit(records(1, 7, 8));
  damage("ATTACH '" + (old.path() / "rooms.db").string() +
         "' AS old; INSERT OR REPLACE INTO checkpoint SELECT * FROM old.checkpoint");
  expect_refused("a");
}

TEST_F(BadFiles, CheckpointMissingWhereTheLogStartsLater) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  checkpoint(1, 3);
  commit(records(1, 4, 6));
  damage("DELETE FROM checkpoint");
  expect_refused("a");
}

// S-10.
TEST_F(BadFiles, ADirectoryThatCannotBeIsRefusedWithASentence) {
  for (const char* const path : {"/proc/jamsocket-data", "/dev/null/data"}) {
    const auto opened = Database::open(path);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().code, ErrorCode::Io);
    EXPECT_NE(opened.error().message.find(path), std::string::npos) << opened.error().message;
  }
}

// S-10. Goal: who keeps rooms where nothing lasts is told. Method: a file system in memory, where there is one.
TEST(BadFilesStore, AForgetfulFileSystemIsNamed) {
  if (!fs::is_directory("/dev/shm")) {
    GTEST_SKIP() << "there is no /dev/shm";
  }
  std::string path = "/dev/shm/jamsocket-store-XXXXXX";
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  EXPECT_EQ(forgetful_file_system(path), "tmpfs");
  EXPECT_EQ(forgetful_file_system("/proc"), "");
  fs::remove_all(path);
}

// S-12. Goal: what comes back does not take time for each record, but for those rooms that do. Method: many rooms with
// a long log; and one with a long one of its own. Times are reported, not asserted.
TEST_F(BadFiles, ManyRecords) {
  const char* const text = std::getenv("JAMSOCKET_RECORDS");
  const std::uint64_t all = text != nullptr ? std::strtoull(text, nullptr, 10) : 50'000;
  const std::uint64_t rooms = all / 100;
  const std::uint64_t own = all / 10;
  open();
  constexpr std::uint64_t kTogether = 500;
  for (std::uint64_t first = 1; first <= rooms; first += kTogether) {
    Batch batch;
    for (std::uint64_t key = first; key < first + kTogether; ++key) {
      batch.created.push_back({.key = RoomKey{key}, .name = name(std::to_string(key)), .birth = "born"});
      for (std::uint64_t number = 1; number <= 100; ++number) {
        batch.append(RoomKey{key}, number, 0, "0123456789");
      }
    }
    commit(batch);
  }
  commit(created(rooms + kTogether, "long"));
  for (std::uint64_t number = 1; number <= own; number += 1000) {
    commit(records(rooms + kTogether, number, std::min(own, number + 999)));
  }
  database.reset();
  const SystemClock clock;
  SteadyTime begin = clock.steady();
  const auto milliseconds = [&clock, &begin] {
    const SteadyTime now = clock.steady();
    return static_cast<int>(std::chrono::duration_cast<Milliseconds>(now - std::exchange(begin, now)).count());
  };
  open();
  RecordProperty("open_ms", milliseconds());
  EXPECT_EQ(database->read(name("1")).value()->tail.size(), 100U);
  RecordProperty("one_of_many_ms", milliseconds());
  EXPECT_EQ(database->read(name("long")).value()->tail.size(), own);
  RecordProperty("long_ms", milliseconds());
}

}  // namespace
}  // namespace jamsocket::store
