// Goal: a flipped bit in any page of the file but the first concerns the rooms that lie in it. All others are there, as
// they were; none is silently older or another; and whatever is written then is kept. Method: one bit after the other,
// in a file with something in each table; what the file says afterwards beside what it said before.

#include "store/mend.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <latch>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "base/number.hpp"
#include "store/database.hpp"
#include "store/sqlite_store.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;
using Mend = DatabaseOptions::Mend;

namespace fs = std::filesystem;

constexpr std::size_t kPageBytes = 4096;
constexpr std::uint64_t kRooms = 60;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string id_of(std::uint64_t key) { return "room-" + std::to_string(key); }

PackedCheckpoint packed(std::uint64_t key, std::uint64_t number) {
  return pack({.key = RoomKey{key},
               .checkpoint = {.number = number,
                              .timer_ms = static_cast<std::int64_t>(key),
                              .bytes = "state " + std::to_string(key) + " at " + std::to_string(number)}});
}

// What is stored of a room, for comparing.
std::string text_of(const StoredRoom& room) {
  std::string text = std::to_string(static_cast<std::uint64_t>(room.key)) + room.birth;
  if (room.checkpoint) {
    text += " checkpoint " + std::to_string(room.checkpoint->number) + room.checkpoint->bytes;
  }
  for (const Record& record : room.tail) {
    text += " " + std::to_string(record.number) + record.bytes;
  }
  return text;
}

// With history, and without: then events go once a checkpoint covers them.
class Mended : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const DatabaseOptions options{.history = {.all = GetParam()}};
    auto database = Database::open(whole_.path(), options);
    ASSERT_TRUE(database);
    for (std::uint64_t key = 1; key <= kRooms; ++key) {
      Batch batch = created(key, id_of(key));
      batch.append(RoomKey{key}, 1, 0, std::string(key * 7, 'x'));
      ASSERT_TRUE((*database)->commit({&batch, 1}));
    }
    for (std::uint64_t key = 1; key <= kRooms; key += 2) {
      for (const std::uint64_t number : {1U, 2U}) {
        const Batch more = records(key, number + 1, number + 1, static_cast<std::int64_t>(key));
        const PackedCheckpoint checkpoint = packed(key, number);
        ASSERT_TRUE((*database)->commit({&more, 1}, {&checkpoint, 1}));
      }
    }
    for (std::uint64_t key = 3; key <= kRooms; key += 4) {
      const PackedCheckpoint of_all = packed(key, 3);
      ASSERT_TRUE((*database)->commit({}, {&of_all, 1}));
    }
    ASSERT_TRUE((*database)->keep_module("hash", std::string(10'000, 'm')));
    for (std::uint64_t key = 1; key <= kRooms; ++key) {
      expected_[key] = text_of((*database)->read(name(id_of(key))).value().value());
    }
    database->reset();
    file_ = read_file(whole_.path() / "rooms.db");
    ASSERT_GT(file_.size(), 12 * kPageBytes);
  }

  // The folder with one bit of the file changed.
  [[nodiscard]] std::unique_ptr<TemporaryFolder> with_flipped(std::size_t at, unsigned bit) const {
    auto folder = std::make_unique<TemporaryFolder>();
    fs::copy_file(whole_.path() / "lock", folder->path() / "lock");
    std::string file = file_;
    file[at] = static_cast<char>(file[at] ^ (1 << bit));
    std::ofstream(folder->path() / "rooms.db", std::ios::binary) << file;
    return folder;
  }

  // @return how many rooms are set aside.
  std::uint64_t expect_rooms(Database& database) const {
    std::uint64_t refused = 0;
    for (const auto& [key, expected] : expected_) {
      const auto room = database.read(name(id_of(key)));
      if (!room) {
        EXPECT_EQ(room.error().code, ErrorCode::Malformed) << room.error().message;
        ++refused;
      } else if (!room->has_value()) {
        ADD_FAILURE() << "room " << key << " is not there any more";
      } else {
        EXPECT_EQ(text_of(**room), expected);
      }
    }
    return refused;
  }

  // As a server does: what it must write is written, once the file is mended if not before.
  // @return false: the tree of a table is damaged.
  bool writes(std::unique_ptr<Database>& database, const fs::path& folder) const {
    const std::uint64_t key = database->next_key();
    EXPECT_GT(key, kRooms);
    Batch batch = created(key, "new");
    batch.append(RoomKey{key}, 1, 5, "first");
    const PackedCheckpoint checkpoint = packed(key, 1);
    auto done = database->commit({&batch, 1}, {&checkpoint, 1});
    if (!done) {
      EXPECT_EQ(done.error().code, ErrorCode::Malformed) << done.error().message;
      database.reset();
      auto mended = Database::open(folder, {.mend = Mend::Now});
      if (!mended) {
        ADD_FAILURE() << mended.error().message;
        return false;
      }
      database = std::move(*mended);
      (void)expect_rooms(*database);
      done = database->commit({&batch, 1}, {&checkpoint, 1});
    }
    EXPECT_TRUE(done) << done.error().message;
    EXPECT_EQ(database->read(name("new")).value()->checkpoint->number, 1U);
    EXPECT_TRUE(database->keep_module("other", "code"));
    return true;
  }

  TemporaryFolder whole_;
  std::string file_;
  std::map<std::uint64_t, std::string> expected_;
};

TEST_P(Mended, WhateverPageIsDamaged) {
  const char* const asked = std::getenv("JAMSOCKET_FLIPS");
  const auto flips_of_a_page = parse_number<std::uint32_t>(asked == nullptr ? "" : asked).value_or(12);
  std::mt19937_64 random(7);
  std::uint64_t mended = 0;
  std::uint64_t refused = 0;
  for (std::size_t page = 1; page < file_.size() / kPageBytes; ++page) {
    for (std::uint32_t i = 0; i < flips_of_a_page; ++i) {
      // Half of them where the tree is.
      const std::size_t within = random() % (i % 2 == 0 ? kPageBytes : 24);
      const auto bit = static_cast<unsigned>(random() % 8);
      SCOPED_TRACE("page " + std::to_string(page + 1) + ", byte " + std::to_string(within) + ", bit " +
                   std::to_string(bit));
      const auto folder = with_flipped(page * kPageBytes + within, bit);
      auto opened = Database::open(folder->path(), {.mend = Mend::WhereNeeded});
      if (!opened) {
        EXPECT_EQ(opened.error().code, ErrorCode::Malformed) << opened.error().message;
        ADD_FAILURE() << opened.error().message;
        return;
      }
      (void)expect_rooms(**opened);
      if (!writes(*opened, folder->path())) {
        ++refused;
      } else if (const auto& how = (*opened)->mended()) {
        ++mended;
        EXPECT_LE(expect_rooms(**opened), how->losses.log ? kRooms : how->losses.rooms + how->losses.checkpoints + 1)
            << how->losses.text();
      }
      if (HasFatalFailure() || HasNonfatalFailure()) {
        return;
      }
    }
  }
  RecordProperty("mended", std::to_string(mended));
  EXPECT_GT(mended, 0U);
  EXPECT_EQ(refused, 0U);
}

// What is rewritten is whole: nothing of it is damaged any more.
TEST_P(Mended, TheCounters) {
  const PageChecks page_checks("");
  std::int64_t root = 0;
  {
    const auto connection =
        Connection::open(whole_.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    root = connection->ask("SELECT rootpage FROM sqlite_schema WHERE name = 'counter'").value();
  }
  const auto folder = with_flipped(static_cast<std::size_t>(root) * kPageBytes - 100, 3);
  const auto refused = Database::open(folder->path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("a page of the file is damaged"), std::string::npos);
  const auto database = Database::open(folder->path(), {.mend = Mend::WhereNeeded});
  ASSERT_TRUE(database) << database.error().message;
  ASSERT_TRUE((*database)->mended());
  EXPECT_EQ((*database)->mended()->losses.text(), "nothing");
  EXPECT_EQ(expect_rooms(**database), 0U);
  EXPECT_EQ((*database)->next_key(), kRooms + 1);
  EXPECT_TRUE((*database)->check().value().empty());
  EXPECT_EQ((*database)->module("hash").value(), std::string(10'000, 'm'));
  EXPECT_EQ(read_file(folder->path() / "rooms.db.damaged").size(), file_.size());
}

// A server that runs: the page is damaged that its next event is written to.
TEST_P(Mended, WhileAStoreRuns) {
  const PageChecks page_checks("");
  std::int64_t root = 0;
  {
    const auto connection =
        Connection::open(whole_.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    root = connection->ask("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_room_1'").value();
  }
  const auto folder = with_flipped(static_cast<std::size_t>(root) * kPageBytes - 100, 3);
  NullLogger logger;
  SqliteStoreOptions options;
  options.database.mend = Mend::WhereNeeded;
  auto store = SqliteStore::open(folder->path(), options, logger, [](const Error& error) { FAIL() << error.message; });
  ASSERT_TRUE(store) << store.error().message;
  std::latch found(1);
  (*store)->find(name(id_of(7)), Extent::Needed, [&](const Result<std::optional<StoredRoom>>& room) {
    ASSERT_TRUE(room) << room.error().message;
    EXPECT_EQ(text_of(room->value()), expected_.at(7));
    found.count_down();
  });
  found.wait();
  std::latch done(1);
  (*store)->submit(created(kRooms + 1, "new"), [&done](const Batch&) { done.count_down(); });
  done.wait();
  store->reset();
  const auto database = Database::open(folder->path());
  ASSERT_TRUE(database);
  EXPECT_EQ(expect_rooms(**database), 0U);
  EXPECT_TRUE((*database)->read(name("new")).value().has_value());
  EXPECT_TRUE(fs::exists(folder->path() / "rooms.db.damaged"));
}

INSTANTIATE_TEST_SUITE_P(History, Mended, ::testing::Bool());

}  // namespace
}  // namespace jamsocket::store
