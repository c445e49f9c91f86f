// A database on a disk that loses power, or fails, at any of its operations.
//
// Goal: what `commit` acknowledged is there afterwards; of what it did not, each batch is there whole or not
// at all; a room is what it was or refused, never something else. Method: one recorded run, ended at each of
// its operations in turn, opened again and compared with what was promised.
// JAMSOCKET_SEEDS=N plays N runs.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "store/database.hpp"
#include "store/testing.hpp"
#include "store/unreliable_disk.hpp"

namespace jamsocket::store {
namespace {

using testing::name;
using testing::TemporaryFolder;
using testing::UnreliableDisk;

std::uint64_t seeds(std::uint64_t usual) {
  const char* const text = std::getenv("JAMSOCKET_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : usual;
}

std::string bytes_of(std::uint64_t key, std::uint64_t number) {
  return "event " + std::to_string(number) + " of " + std::to_string(key) + std::string(number % 97, '.');
}
std::string state_of(std::uint64_t key, std::uint64_t number) {
  return "state " + std::to_string(number) + " of " + std::to_string(key) + std::string(number * 13 % 5000, '#');
}

struct Promised {
  std::uint64_t at_least = 0;  ///< Events that were acknowledged.
  std::uint64_t at_most = 0;   ///< Events that were handed over.
  bool may_be_missing = true;  ///< Its creation was not acknowledged.
};

// A run of some commits over a few rooms: the same for the same seed.
class RecordedRun {
 public:
  RecordedRun(std::uint64_t seed, const std::filesystem::path& folder, UnreliableDisk& disk)
      : random_(seed), folder_(folder), disk_(disk) {}

  static DatabaseOptions options(const UnreliableDisk& disk) {
    return {.vfs = disk.vfs_name(), .row_bytes = 400, .log_bytes_max = 4000, .wal_bytes_ahead = 12000, .wal_pages = 8};
  }

  enum class End : std::uint8_t { Orderly, Killed };

  /// Ends with the first commit that fails, or the last.
  void play(int commits, End end = End::Orderly) {
    auto opened = Database::open(folder_, options(disk_));
    if (!opened) {
      return;
    }
    for (int i = 0; i < commits; ++i) {
      if (!commit(**opened)) {
        return;
      }
    }
    if (end == End::Killed) {
      disk_.fail_at(1, UnreliableDisk::Fault::PowerLoss);  // Nothing that closing would do happens.
    }
  }

  enum class Seen : std::uint8_t { Nothing, InRooms, AtOpening };

  Seen verify_damaged(const std::string& why) {
    disk_.fail_at(0, UnreliableDisk::Fault::None);
    const auto opened = Database::open(folder_, options(disk_));
    if (!opened) {
      return Seen::AtOpening;
    }
    Seen refused = Seen::Nothing;
    for (const auto& [key, promised] : promised_) {
      const auto room = (*opened)->read(name(std::to_string(key)));
      if (!room) {
        refused = Seen::InRooms;
      } else if (!room->has_value()) {
        EXPECT_TRUE(promised.may_be_missing) << why << ": room " << key << " is gone without a word";
      } else {
        verify_room(key, **room, promised, why);
      }
    }
    return refused;
  }

  /// @param why  for messages.
  void verify(const std::string& why) {
    auto opened = Database::open(folder_, options(disk_));
    ASSERT_TRUE(opened) << why << ": " << opened.error().message;
    for (const auto& [key, promised] : promised_) {
      const auto room = (*opened)->read(name(std::to_string(key)));
      ASSERT_TRUE(room) << why << ": room " << key << ": " << room.error().message;
      if (!room->has_value()) {
        ASSERT_TRUE(promised.may_be_missing) << why << ": room " << key << " is gone";
        continue;
      }
      verify_room(key, **room, promised, why);
    }
    // And it goes on.
    Batch more;
    more.created.push_back({.key = RoomKey{1000}, .name = name("after"), .birth = "born"});
    ASSERT_TRUE((*opened)->commit({&more, 1})) << why;
  }

 private:
  static void verify_room(std::uint64_t key, const StoredRoom& room, const Promised& promised, const std::string& why) {
    std::uint64_t last = 0;
    if (room.checkpoint) {
      last = room.checkpoint->number;
      ASSERT_EQ(room.checkpoint->bytes, state_of(key, last)) << why;
    }
    for (const Record& record : room.tail) {
      ASSERT_EQ(record.number, last + 1) << why;
      ASSERT_EQ(record.bytes, bytes_of(key, record.number)) << why;
      last = record.number;
    }
    ASSERT_GE(last, promised.at_least) << why << ": room " << key << " lost events";
    ASSERT_LE(last, promised.at_most) << why << ": room " << key;
  }

  bool commit(Database& database) {
    Batch batch;
    std::vector<PackedCheckpoint> checkpoints;
    for (std::uint64_t key = 1; key <= 4; ++key) {
      if (random_() % 3 == 0) {
        continue;
      }
      Promised& promised = promised_[key];
      if (promised.at_most == 0) {
        batch.created.push_back({.key = RoomKey{key}, .name = name(std::to_string(key)), .birth = "born"});
      }
      for (std::uint64_t count = 1 + random_() % 5; count > 0; --count) {
        ++promised.at_most;
        batch.append(RoomKey{key}, promised.at_most, 0, bytes_of(key, promised.at_most));
      }
      if (random_() % 4 == 0 && promised.at_least > 0) {
        checkpoints.push_back(pack(
            {.key = RoomKey{key},
             .checkpoint = {.number = promised.at_least, .timer_ms = 0, .bytes = state_of(key, promised.at_least)}}));
      }
    }
    if (!database.commit({&batch, 1}, checkpoints)) {
      return false;
    }
    for (auto& [key, promised] : promised_) {
      promised.at_least = promised.at_most;
      promised.may_be_missing = promised.may_be_missing && promised.at_most == 0;
    }
    return true;
  }

  std::mt19937_64 random_;
  std::filesystem::path folder_;
  UnreliableDisk& disk_;
  std::map<std::uint64_t, Promised> promised_;
};

constexpr int kCommits = 25;

// Ends the run of `seed` at each operation with `fault`, then the power goes. @return how many points there were.
std::uint64_t end_everywhere(std::uint64_t seed, UnreliableDisk::Fault fault, int commits = kCommits) {
  for (std::uint64_t operation = 1;; ++operation) {
    const TemporaryFolder folder;
    UnreliableDisk disk;
    disk.fail_at(operation, fault);
    RecordedRun run(seed, folder.path(), disk);
    run.play(commits);
    const bool has_failed = disk.has_failed();
    disk.lose_power(seed * 1'000'003 + operation);
    run.verify("seed " + std::to_string(seed) + ", operation " + std::to_string(operation));
    if (!has_failed || ::testing::Test::HasFatalFailure()) {
      return operation;
    }
  }
}

TEST(PowerLoss, NothingAcknowledgedIsLostAtAnyOperation) {
  std::uint64_t points = 0;
  for (std::uint64_t seed = 1; seed <= seeds(4) && !HasFatalFailure(); ++seed) {
    points += end_everywhere(seed, UnreliableDisk::Fault::PowerLoss);
  }
  EXPECT_GT(points, 500U);
  RecordProperty("crash_points", static_cast<int>(points));
}

TEST(PowerLoss, AnOperationThatFailsOnceIsNeverTakenForDone) {
  for (const auto fault : {UnreliableDisk::Fault::Io, UnreliableDisk::Fault::Full, UnreliableDisk::Fault::ShortWrite}) {
    EXPECT_GT(end_everywhere(99, fault, kCommits / 3), 50U);
    ASSERT_FALSE(HasFatalFailure());
  }
}

// Goal: a flipped bit is found or harmless: no room is another one, an older one, or missing without a word. Method: a
// run that ended well or was killed, one bit of one of its files, and everything that can still be read.
TEST(PowerLoss, AFlippedBitIsSeenOrHarmless) {
  std::map<RecordedRun::Seen, int> seen;
  for (std::uint64_t seed = 1; seed <= seeds(20) * 20 && !HasFatalFailure(); ++seed) {
    const TemporaryFolder folder;
    UnreliableDisk disk;
    RecordedRun run(seed % 50, folder.path(), disk);
    run.play(kCommits, seed % 2 == 0 ? RecordedRun::End::Killed : RecordedRun::End::Orderly);
    const std::string which = disk.flip_bit(seed);
    ++seen[run.verify_damaged("seed " + std::to_string(seed) + ", " + which)];
  }
  EXPECT_GT(seen[RecordedRun::Seen::InRooms], 0);
  EXPECT_GT(seen[RecordedRun::Seen::AtOpening], 0);
  RecordProperty("harmless", seen[RecordedRun::Seen::Nothing]);
  RecordProperty("seen_in_rooms", seen[RecordedRun::Seen::InRooms]);
  RecordProperty("seen_at_opening", seen[RecordedRun::Seen::AtOpening]);
}

}  // namespace
}  // namespace jamsocket::store
