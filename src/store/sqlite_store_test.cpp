#include "store/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <random>
#include <string>
#include <thread>

#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;

class SqliteStoreTest : public ::testing::Test {
 protected:
  void open(const SqliteStoreOptions& options = {}) {
    store.reset();
    auto opened =
        SqliteStore::open(folder.path(), options, logger, [](const Error& error) { FAIL() << error.message; });
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  StoredRoom room(std::string_view id) {
    StoredRoom result;
    std::latch done(1);
    store->find(name(id), Extent::Needed, [&](Result<std::optional<StoredRoom>> found) {
      EXPECT_TRUE(found) << found.error().message;
      EXPECT_TRUE(found->has_value());
      result = found->value_or(StoredRoom{});
      done.count_down();
    });
    done.wait();
    return result;
  }

  // Of the rooms from 1 on; they do not compress.
  static Batch checkpoints_of_a_mib(std::uint64_t rooms) {
    Batch batch;
    std::mt19937_64 random(1);
    for (std::uint64_t key = 1; key <= rooms; ++key) {
      std::string state(std::size_t{1} << 20U, '\0');
      std::ranges::generate(state, [&] { return static_cast<char>(random()); });
      batch.checkpoints.push_back(
          {.key = RoomKey{key}, .checkpoint = {.number = 0, .timer_ms = 0, .bytes = std::move(state)}});
    }
    return batch;
  }

  TemporaryFolder folder;
  NullLogger logger;
  std::unique_ptr<SqliteStore> store;
};

TEST_F(SqliteStoreTest, AnswersInTheOrderOfTheRequests) {
  open();
  std::vector<int> order;  // Of the writer's thread; read once that has ended.
  store->submit(created(1, "a"), [&order](const Batch&) { order.push_back(1); });
  for (int i = 2; i <= 100; ++i) {
    const auto number = static_cast<std::uint64_t>(i - 1);
    store->submit(records(1, number, number), [&order, i](const Batch&) { order.push_back(i); });
  }
  EXPECT_EQ(room("a").tail.size(), 99U);
  store->stop();
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(SqliteStoreTest, StopKeepsEverythingCheckpointsIncluded) {
  open();
  store->submit(created(1, "a"), {});
  store->submit(records(1, 1, 5), {});
  Batch batch;
  batch.checkpoints.push_back({.key = RoomKey{1}, .checkpoint = {.number = 5, .timer_ms = 42, .bytes = "five"}});
  store->submit(std::move(batch), {});
  open();
  const StoredRoom found = room("a");
  ASSERT_TRUE(found.checkpoint);
  EXPECT_EQ(found.checkpoint->bytes, "five");
  EXPECT_TRUE(found.tail.empty());
  ASSERT_EQ(store->sleeping().size(), 1U);
  EXPECT_EQ(store->new_key(), RoomKey{2});
}

TEST_F(SqliteStoreTest, SaysWhenTheDiskIsNearlyFull) {
  SqliteStoreOptions options;
  open(options);
  EXPECT_FALSE(store->is_full());
  options.free_bytes_min = ~std::uint64_t{0};
  open(options);
  EXPECT_TRUE(store->is_full());
}

// Goal: a full disk that nobody may write to is seen to have space again. Method: nothing but the store's own looking.
TEST_F(SqliteStoreTest, SeesThatAFullDiskHasSpaceAgainWithoutAnybodyWriting) {
  std::atomic<std::uint64_t> free_bytes{0};
  SqliteStoreOptions options;
  options.free_bytes = [&free_bytes](const std::filesystem::path&) { return std::optional(free_bytes.load()); };
  open(options);
  EXPECT_TRUE(store->is_full());
  free_bytes = options.free_bytes_min;
  while (store->is_full()) {  // The test's own deadline ends it.
    std::this_thread::yield();
  }
  store.reset();  // Before what it looks at.
}

TEST_F(SqliteStoreTest, LooksAtTheDiskBeforeLargeRecordsUseTheReserveUp) {
  std::atomic<std::uint64_t> free_bytes{std::uint64_t{1} << 30U};
  SqliteStoreOptions options;
  options.free_bytes_min = std::uint64_t{1} << 20U;
  options.free_bytes = [&free_bytes](const std::filesystem::path&) { return std::optional(free_bytes.load()); };
  open(options);
  store->submit(created(1, "a"), {});
  free_bytes = options.free_bytes_min - 1;
  Batch large;
  large.append(RoomKey{1}, 1, 0, std::string(options.free_bytes_min / 8, 'x'));
  store->submit(std::move(large), {});
  EXPECT_EQ(room("a").tail.size(), 1U);
  EXPECT_TRUE(store->is_full());
  store.reset();  // Before what it looks at.
}

TEST_F(SqliteStoreTest, SaysWhenCheckpointsComeFasterThanTheyAreCompressed) {
  SqliteStoreOptions options;
  options.checkpoint_backlog_bytes_max = 1;
  open(options);
  store->submit(created(1, "a"), {});
  EXPECT_FALSE(store->is_behind());
  Batch batch;
  batch.checkpoints.push_back({.key = RoomKey{1}, .checkpoint = {.number = 0, .timer_ms = 0, .bytes = "state"}});
  store->submit(std::move(batch), {});
  store->stop();
  EXPECT_FALSE(store->is_behind());
}

TEST_F(SqliteStoreTest, WhatCannotBeKeptIsTold) {
  // In a child: the process ends with it.
  EXPECT_EXIT(
      {
        auto child = SqliteStore::open(folder.path() / "child", {}, logger, [](const Error&) { std::_Exit(7); });
        (*child)->submit(created(1, "a"), {});
        (*child)->submit(created(1, "a"), [](const Batch&) { std::_Exit(1); });
        std::latch never(1);
        never.wait();
      },
      ::testing::ExitedWithCode(7), "");
}

// Goal: who waits for an event to be kept does not wait for checkpoints, of which many may have come before it.
// Method: the writer is held in the first of them, until the event is there.
TEST_F(SqliteStoreTest, EventsGoBeforeLargeCheckpoints) {
  constexpr std::uint64_t kRooms = 6;
  std::vector<std::string> order;  // Of the writer's thread; read once that has ended.
  std::latch is_held(1);
  std::latch may_go_on(1);
  SqliteStoreOptions options;
  options.checkpoint_backlog_bytes_max = (kRooms - 1) << 20U;
  options.watch_checkpoints = [&](const StoredRoom& room, const Checkpoint&) {
    order.emplace_back("checkpoint");
    if (room.name.id == "1") {
      is_held.count_down();
      may_go_on.wait();
    }
  };
  open(options);
  for (std::uint64_t key = 1; key <= kRooms; ++key) {
    store->submit(created(key, std::to_string(key)), {});
  }
  Batch batch = checkpoints_of_a_mib(kRooms);
  store->submit(std::move(batch), {});
  is_held.wait();
  // However many of them are compressed by now: they are in memory until they are written.
  for (int i = 0; i < 100'000 && store->is_behind(); ++i) {
    ::sched_yield();
  }
  EXPECT_TRUE(store->is_behind());
  store->submit(records(1, 1, 1), [&order](const Batch&) { order.emplace_back("event"); });
  may_go_on.count_down();
  store->stop();
  EXPECT_FALSE(store->is_behind());
  ASSERT_EQ(order.size(), kRooms + 1);
  EXPECT_EQ(std::ranges::find(order, "event") - order.begin(), 1) << "behind the one that was being written";
}

}  // namespace
}  // namespace jamsocket::store
