#include "store/history.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "store/database.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() {
    options.row_bytes = 256;
    options.unix_ms = [this] { return now_ms; };
  }
  void open() {
    database.reset();
    auto opened = Database::open(folder.path(), options);
    ASSERT_TRUE(opened) << opened.error().message;
    database = std::move(*opened);
  }
  void commit(const Batch& batch) {
    const auto done = database->commit({&batch, 1});
    ASSERT_TRUE(done) << done.error().message;
  }
  void checkpoint(std::uint64_t key, std::uint64_t number) {
    const PackedCheckpoint packed =
        pack({.key = RoomKey{key},
              .checkpoint = {.number = number, .timer_ms = 0, .bytes = "at " + std::to_string(number)}});
    const auto done = database->commit({}, {&packed, 1});
    ASSERT_TRUE(done) << done.error().message;
  }
  /// Events `from` to `to` of room 1, with a checkpoint after each ten.
  void live(std::uint64_t from, std::uint64_t to, std::uint64_t key = 1) {
    for (std::uint64_t number = from; number <= to; ++number) {
      commit(records(key, number, number));
      if (number % 10 == 0) {
        checkpoint(key, number);
      }
    }
  }
  StoredRoom back_to(std::uint64_t to) {
    auto room = database->read_back(name("a"), to);
    EXPECT_TRUE(room) << room.error().message;
    return room ? room->value_or(StoredRoom{}) : StoredRoom{};
  }
  /// That the room of event `to` is what a checkpoint and the events behind it say.
  void expect_room_of(std::uint64_t to) {
    const StoredRoom room = back_to(to);
    const std::uint64_t base = room.checkpoint ? room.checkpoint->number : 0;
    if (room.checkpoint) {
      EXPECT_EQ(room.checkpoint->bytes, "at " + std::to_string(base));
    }
    ASSERT_EQ(room.tail.size(), to - base) << to;
    for (std::size_t i = 0; i < room.tail.size(); ++i) {
      EXPECT_EQ(room.tail[i].number, base + 1 + i);
      EXPECT_EQ(room.tail[i].bytes, std::to_string(base + 1 + i));
    }
  }
  std::uint64_t earliest() { return database->reach(name("a")).value().value().earliest; }

  TemporaryFolder folder;
  DatabaseOptions options;
  std::int64_t now_ms = 1'700'000'000'000;
  std::unique_ptr<Database> database;
};

TEST_F(HistoryTest, WithoutItARoomGoesBackToItsCheckpoint) {
  open();
  commit(created(1, "a"));
  live(1, 25);
  EXPECT_EQ(earliest(), 20U);
  expect_room_of(20);
  expect_room_of(23);
  const auto gone = database->read_back(name("a"), 19);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().message, "event 19 is not kept; the room can go back to events 20 to 25");
  EXPECT_FALSE(database->read_back(name("nobody"), 1).value());
}

TEST_F(HistoryTest, AllOfItReachesBackToTheStart) {
  options.history.all = true;
  for (int round = 0; round < 2; ++round) {
    open();
    if (round == 0) {
      commit(created(1, "a"));
      commit(created(2, "b"));
      live(1, 995);
      live(1, 17, 2);
      live(996, 1234);
    }
    EXPECT_EQ(earliest(), 0U);
    for (const std::uint64_t to : {0U, 1U, 9U, 10U, 11U, 999U, 1000U, 1001U, 1229U, 1230U, 1234U}) {
      expect_room_of(to);
    }
    const StoredRoom whole = database->read(name("a"), Extent::Whole).value().value();
    EXPECT_FALSE(whole.checkpoint);
    ASSERT_EQ(whole.tail.size(), 1234U);
    EXPECT_EQ(whole.tail.back().bytes, "1234");
    const StoredRoom needed = database->read(name("a")).value().value();
    EXPECT_EQ(needed.checkpoint->number, 1230U);
    EXPECT_EQ(needed.tail.size(), 4U);
    EXPECT_TRUE(database->check().value().empty());
  }
}

TEST_F(HistoryTest, OldRowsAreNotNeededToStart) {
  options.history.all = true;
  open();
  commit(created(1, "a"));
  live(1, 500);
  EXPECT_LE(database->log_rows(), 1U);
  EXPECT_LT(database->log_bytes(), 1000U);
  open();
  EXPECT_LE(database->log_rows(), 200U);  // Those since the floor was last written down.
  live(501, 510);
  expect_room_of(3);
}

TEST_F(HistoryTest, NumbersOfRowsGoOnBehindThoseOfHistory) {
  options.history.all = true;
  open();
  commit(created(1, "a"));
  live(1, 200);
  open();
  live(201, 205);
  expect_room_of(100);
  expect_room_of(205);
}

TEST_F(HistoryTest, BySizeTheOldestGoes) {
  options.history.bytes_max = 4000;
  open();
  commit(created(1, "a"));
  live(1, 400);
  const std::uint64_t before = earliest();
  EXPECT_GT(before, 200U);
  EXPECT_LT(before, 390U);
  expect_room_of(before);
  EXPECT_FALSE(database->read_back(name("a"), before - 1));
  EXPECT_TRUE(database->read(name("a"), Extent::Whole).value()->checkpoint);  // Not all is there: what is needed.
  open();
  EXPECT_EQ(earliest(), before);
  live(401, 800);
  EXPECT_GT(earliest(), before);
}

TEST_F(HistoryTest, ByAgeTheOldestGoes) {
  options.history.age_max = std::chrono::hours{1};
  open();
  commit(created(1, "a"));
  live(1, 100);
  now_ms += std::int64_t{59} * 60'000;
  live(101, 200);
  EXPECT_EQ(earliest(), 0U);
  now_ms += std::int64_t{2} * 60'000;
  live(201, 300);
  open();
  live(301, 400);
  const std::uint64_t reached = earliest();
  EXPECT_GE(reached, 100U);
  EXPECT_LE(reached, 110U);
  expect_room_of(reached);
  expect_room_of(200);
  now_ms += std::int64_t{24} * 60 * 60'000;
  live(401, 800);
  EXPECT_GT(earliest(), 390U);
}

TEST_F(HistoryTest, WithoutItFromNowOnTheRestGoes) {
  options.history.all = true;
  open();
  commit(created(1, "a"));
  live(1, 500);
  options.history = {};
  open();
  live(501, 1000);
  EXPECT_EQ(earliest(), 1000U);
  open();
  EXPECT_EQ(database->read(name("a")).value()->checkpoint->number, 1000U);
}

TEST_F(HistoryTest, ADeletedRoomHasNone) {
  options.history.all = true;
  open();
  commit(created(1, "a"));
  live(1, 50);
  Batch removal;
  removal.removed.push_back(RoomKey{1});
  commit(removal);
  commit(created(2, "a"));
  live(1, 5, 2);
  EXPECT_EQ(back_to(5).tail.size(), 5U);
  EXPECT_EQ(earliest(), 0U);
  EXPECT_TRUE(database->check().value().empty());
}

TEST_F(HistoryTest, ARoomThatHoldsRowsBackKeepsNobodyElsesHistoryFromGoing) {
  options.history.bytes_max = 4000;
  options.log_bytes_max = 8000;
  open();
  commit(created(1, "a"));
  commit(created(2, "b"));
  commit(records(2, 1, 3));  // Never a checkpoint.
  live(1, 2000);
  EXPECT_GT(earliest(), 1500U);
  EXPECT_EQ(database->read(name("b")).value()->tail.size(), 3U);
}

TEST_F(HistoryTest, ManySmallChangesKeepNotEveryCheckpoint) {
  options.history.all = true;
  open();
  commit(created(1, "a"));
  std::string large(5000, '\0');  // Of one event each: not worth it.
  std::iota(large.begin(), large.end(), '\0');
  for (std::uint64_t number = 1; number <= 50; ++number) {
    commit(records(1, number, number));
    std::ranges::shuffle(large, std::minstd_rand(static_cast<unsigned>(number)));
    const PackedCheckpoint packed =
        pack({.key = RoomKey{1}, .checkpoint = {.number = number, .timer_ms = 0, .bytes = large}});
    ASSERT_TRUE(database->commit({}, {&packed, 1}));
  }
  database.reset();
  auto file = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadWrite);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->ask("SELECT count(*) FROM old_checkpoint").value(), 0);
}

}  // namespace
}  // namespace jamsocket::store
