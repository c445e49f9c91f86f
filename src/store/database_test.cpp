#include "store/database.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;

class DatabaseTest : public ::testing::Test {
 protected:
  void open(const DatabaseOptions& options = {}) {
    database.reset();
    auto opened = Database::open(folder.path(), options);
    ASSERT_TRUE(opened) << opened.error().message;
    database = std::move(*opened);
  }
  void commit(const Batch& batch) {
    const auto done = database->commit({&batch, 1});
    ASSERT_TRUE(done) << done.error().message;
  }
  void checkpoint(std::uint64_t key, std::uint64_t number, std::string bytes, std::int64_t timer_ms = 0) {
    const PackedCheckpoint packed =
        pack({.key = RoomKey{key}, .checkpoint = {.number = number, .timer_ms = timer_ms, .bytes = std::move(bytes)}});
    const auto done = database->commit({}, {&packed, 1});
    ASSERT_TRUE(done) << done.error().message;
  }
  StoredRoom room(std::string_view id) {
    auto found = database->read(name(id));
    EXPECT_TRUE(found) << found.error().message;
    EXPECT_TRUE(found->has_value());
    return found->value_or(StoredRoom{});
  }
  /// Runs SQL on the closed file; its pages fit their checksums.
  void damage(const std::string& sql) {
    database.reset();
    const PageChecks page_checks("");
    auto connection = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(connection);
    ASSERT_TRUE(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    const auto done = connection->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }

  TemporaryFolder folder;
  std::unique_ptr<Database> database;
};

TEST_F(DatabaseTest, WhatWasCommittedIsThereAfterOpeningAgain) {
  open();
  commit(created(1, "lobby"));
  commit(records(1, 1, 3, 1234));
  for (int round = 0; round < 2; ++round) {
    const StoredRoom found = room("lobby");
    EXPECT_EQ(found.key, RoomKey{1});
    EXPECT_EQ(found.birth, "born");
    EXPECT_FALSE(found.checkpoint);
    ASSERT_EQ(found.tail.size(), 3U);
    EXPECT_EQ(found.tail[2], (Record{.number = 3, .timer_ms = 1234, .bytes = "3"}));
    open();
  }
  EXPECT_EQ(database->next_key(), 2U);
}

TEST_F(DatabaseTest, UnknownRoomsAreNotThere) {
  open();
  EXPECT_FALSE(database->read(name("nobody")).value());
  // Byte for byte: no folding, no prefix.
  commit(created(1, "Lobby"));
  EXPECT_FALSE(database->read(name("lobby")).value());
  EXPECT_FALSE(database->read(name("Lobb")).value());
  EXPECT_FALSE(database->read({.service = "other", .id = "Lobby"}).value());
}

TEST_F(DatabaseTest, ACheckpointCoversTheRecordsUpToIt) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 10));
  checkpoint(1, 7, "state at seven");
  for (int round = 0; round < 2; ++round) {
    const StoredRoom found = room("a");
    ASSERT_TRUE(found.checkpoint);
    EXPECT_EQ(found.checkpoint->bytes, "state at seven");
    ASSERT_EQ(found.tail.size(), 3U);
    EXPECT_EQ(found.tail.front().number, 8U);
    open();
  }
}

TEST_F(DatabaseTest, AnOlderCheckpointChangesNothing) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 10));
  checkpoint(1, 7, "newer");
  checkpoint(1, 3, "older");
  EXPECT_EQ(room("a").checkpoint->bytes, "newer");
}

TEST_F(DatabaseTest, RowsGoOnceEveryRoomInThemIsCovered) {
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  Batch both = records(1, 1, 2);
  both.append(RoomKey{2}, 1, 0, "b");
  commit(both);
  ASSERT_EQ(database->log_rows(), 1U);
  checkpoint(1, 2, "a");
  EXPECT_EQ(database->log_rows(), 1U);
  checkpoint(2, 1, "b");
  EXPECT_EQ(database->log_rows(), 0U);
  EXPECT_EQ(database->log_bytes(), 0U);
  open();
  EXPECT_EQ(database->log_rows(), 0U);
}

TEST_F(DatabaseTest, RemovedRoomsAreGoneAndTheirKeysNotUsedAgain) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 5));
  checkpoint(1, 2, "x");
  Batch removal;
  removal.removed.push_back(RoomKey{1});
  commit(removal);
  EXPECT_FALSE(database->read(name("a")).value());
  EXPECT_EQ(database->log_rows(), 0U);
  checkpoint(1, 5, "of a room that is no more");  // As it happens when one is still being compressed.
  open();
  EXPECT_EQ(database->next_key(), 2U);
  commit(created(2, "a"));
  EXPECT_FALSE(room("a").checkpoint);
  EXPECT_TRUE(room("a").tail.empty());
}

// Goal: a room that is idle for ever does not keep the log from shrinking.
TEST_F(DatabaseTest, OldRowsAreWorkedUpWhenFewRoomsHoldThemBack) {
  DatabaseOptions options;
  options.log_bytes_max = 22'000;
  open(options);
  commit(created(1, "idle"));
  commit(created(2, "busy"));
  Batch first = records(1, 1, 3, 77);
  for (std::uint64_t number = 1; number <= 500; ++number) {
    first.append(RoomKey{2}, number, 0, "0123456789");
  }
  commit(first);
  checkpoint(2, 500, "covered");
  for (std::uint64_t number = 501; number <= 1000; ++number) {
    Batch one;
    one.append(RoomKey{2}, number, 0, std::string(100, 'x'));
    commit(one);
    if (number % 50 == 0) {
      checkpoint(2, number, "covered");
    }
  }
  EXPECT_LT(database->log_bytes(), 10'000U);
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(room("idle").tail.size(), 3U);
    EXPECT_EQ(room("idle").tail[1], (Record{.number = 2, .timer_ms = 77, .bytes = "2"}));
    EXPECT_EQ(room("busy").checkpoint->number, 1000U);
    open(options);
  }
}

TEST_F(DatabaseTest, SleepingRoomsAreThoseWhoseLastWordIsATimer) {
  open();
  for (std::uint64_t key = 1; key <= 4; ++key) {
    commit(created(key, std::to_string(key)));
  }
  commit(records(1, 1, 1, 100));
  commit(records(2, 1, 1, 100));
  checkpoint(2, 1, "x", 100);
  commit(records(2, 2, 2, 0));
  commit(records(3, 1, 1, 300));
  checkpoint(3, 1, "x", 300);
  for (int round = 0; round < 2; ++round) {
    auto rooms = database->sleeping().value();
    std::ranges::sort(rooms, {}, &SleepingRoom::timer_ms);
    ASSERT_EQ(rooms.size(), 2U);
    EXPECT_EQ(rooms[0].name.id, "1");
    EXPECT_EQ(rooms[0].timer_ms, 100);
    EXPECT_EQ(rooms[1].name.id, "3");
    open();
  }
}

TEST_F(DatabaseTest, TwoOnOneDirectoryAreRefusedWithASentence) {
  open();
  const auto second = Database::open(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::LimitReached);
  EXPECT_NE(second.error().message.find("in use by another process"), std::string::npos) << second.error().message;
}

TEST_F(DatabaseTest, ANewerFormatIsRefusedWithASentence) {
  open();
  damage("PRAGMA user_version=" + std::to_string(kFormatVersion + 1));
  const auto opened = Database::open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::Unsupported);
  EXPECT_NE(opened.error().message.find("newer version"), std::string::npos) << opened.error().message;
}

// Goal: no page of a new file is without its checksum. Method: SQLite's header says how many bytes of each are not its
// own.
TEST_F(DatabaseTest, ANewFileHasChecksumsFromItsFirstPageOn) {
  open();
  std::ifstream file(folder.path() / "rooms.db", std::ios::binary);
  file.seekg(20);
  EXPECT_EQ(file.get(), 4);
}

// Goal: a write-ahead log that is cut off makes no room older, and is no harm once it was worked into the database
// file. Method: a killed process's files after each of some commits, the log without its last third.
TEST_F(DatabaseTest, ALogThatIsCutOffIsRefusedOrNotNeeded) {
  open({.wal_bytes_ahead = 0, .wal_pages = 40});  // More than the making of the tables took: what is cut off is in use.
  commit(created(1, "a"));
  int opened = 0;
  int refused = 0;
  for (std::uint64_t number = 1; number <= 30; ++number) {
    commit(records(1, number, number));
    const TemporaryFolder copy;
    std::filesystem::copy(folder.path(), copy.path(), std::filesystem::copy_options::recursive);
    const auto log = copy.path() / "rooms.db-wal";
    std::filesystem::resize_file(log, std::filesystem::file_size(log) * 2 / 3);
    const auto again = Database::open(copy.path());
    if (!again) {
      EXPECT_EQ(again.error().code, ErrorCode::Malformed) << again.error().message;
      ++refused;
      continue;
    }
    ++opened;
    EXPECT_EQ((*again)->read(name("a")).value()->tail.size(), number);
  }
  EXPECT_GT(opened, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(DatabaseTest, WhatIsNoDatabaseIsRefused) {
  std::ofstream(folder.path() / "rooms.db") << std::string(5000, 'x');
  const auto opened = Database::open(folder.path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::Malformed);
}

// Goal: damage puts one room aside, says so, and never makes it an older room.
TEST_F(DatabaseTest, ADamagedRecordIsThatRoomsAlone) {
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  Batch both = records(1, 1, 2);
  both.append(RoomKey{2}, 1, 0, "b");
  commit(both);
  damage("UPDATE log SET body = CAST(substr(body, 1, 32) || 'X' || substr(body, 34) AS BLOB)");
  open();
  const auto hurt = database->read(name("a"));
  ASSERT_FALSE(hurt);
  EXPECT_EQ(hurt.error().code, ErrorCode::Malformed);
  EXPECT_EQ(room("b").tail.size(), 1U);
  EXPECT_EQ(database->check().value().size(), 1U);
}

TEST_F(DatabaseTest, ADamagedDirectoryIsMadeAgainFromTheRecords) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 3));
  damage("UPDATE log SET directory = zeroblob(32)");
  open();
  EXPECT_EQ(room("a").tail.size(), 3U);
}

TEST_F(DatabaseTest, ARowThatIsGoneIsNoticed) {
  open();
  commit(created(1, "a"));
  commit(records(1, 1, 1));
  commit(records(1, 2, 2));
  commit(records(1, 3, 3));
  damage("DELETE FROM log WHERE sequence = 2");
  open();
  EXPECT_EQ(database->read(name("a")).error().code, ErrorCode::Malformed);
}

TEST_F(DatabaseTest, ADamagedCheckpointOrBirthIsNoticed) {
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  commit(records(1, 1, 3));
  checkpoint(1, 3, "state");
  damage("UPDATE checkpoint SET timer_ms = 5; UPDATE room SET birth = 'x' WHERE key = 2");
  open();
  EXPECT_EQ(database->read(name("a")).error().code, ErrorCode::Malformed);
  EXPECT_EQ(database->read(name("b")).error().code, ErrorCode::Malformed);
  EXPECT_EQ(database->check().value().size(), 2U);
}

TEST_F(DatabaseTest, ListsInOrderPageByPage) {
  open();
  for (std::uint64_t key = 1; key <= 5; ++key) {
    commit(created(key, std::string(1, static_cast<char>('f' - key))));
  }
  commit(records(2, 1, 4));
  const auto first = database->list({}, 3).value();
  ASSERT_EQ(first.size(), 3U);
  EXPECT_EQ(first[0].name.id, "a");
  const auto second = database->list(first.back().name, 3).value();
  ASSERT_EQ(second.size(), 2U);
  EXPECT_EQ(second[0].name.id, "d");
  EXPECT_EQ(second[0].last_number, 4U);
}

TEST_F(DatabaseTest, ModulesAndBackupsAreKept) {
  open();
  ASSERT_TRUE(database->keep_module("abc", "\0asm"));
  ASSERT_TRUE(database->keep_module("abc", "\0asm"));
  EXPECT_TRUE(database->module("abc").value());
  EXPECT_FALSE(database->module("abd").value());
  commit(created(1, "a"));
  commit(records(1, 1, 2));
  const TemporaryFolder other;
  ASSERT_TRUE(database->backup(other.path() / "rooms.db"));
  ASSERT_TRUE(database->compact());
  auto copy = Database::open(other.path());
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*copy)->read(name("a")).value()->tail.size(), 2U);
}

}  // namespace
}  // namespace jamsocket::store
