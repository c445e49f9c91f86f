// The running store on a disk of which one operation fails, reads and opening included.
//
// Goal: whatever fails, and whenever: nobody is told that something was kept which is not there afterwards, nothing
// hangs, and what is left can be opened. Method: the same work with its first operation failing, its second, and so on
// until none fails, each in a process of its own, as the store ends the process it is in.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <string>

#include "base/sanitizers.hpp"
#include "store/sqlite_store.hpp"
#include "store/testing.hpp"
#include "store/unreliable_disk.hpp"

namespace jamsocket::store {
namespace {

using testing::created;
using testing::name;
using testing::records;
using testing::TemporaryFolder;
using testing::UnreliableDisk;

constexpr std::uint64_t kEvents = 12;
#if defined(JAM_ADDRESS_SANITIZER) || defined(JAM_THREAD_SANITIZER)
// There a process takes long to be copied: each kind has every third operation.
constexpr std::uint64_t kStep = 3;
constexpr unsigned kSecondsMax = 25;
#else
constexpr std::uint64_t kStep = 1;
constexpr unsigned kSecondsMax = 5;
#endif

enum Exit : int { kFine = 0, kNothingFailed = 1, kLost = 2, kUnreadable = 3, kWrongTail = 4 };

class Work {
 public:
  Work(const std::filesystem::path& folder, UnreliableDisk& disk) : folder_(folder), disk_(disk) {}

  /// Ends the process with what was found.
  [[noreturn]] void play() {
    {
      auto opened = SqliteStore::open(folder_, options(), logger_, [this](const Error&) { look_and_exit(); });
      if (opened) {
        ask(**opened);
      }
    }
    look_and_exit();
  }

 private:
  [[nodiscard]] SqliteStoreOptions options() const {
    return {.database = {.vfs = disk_.vfs_name(),
                         .row_bytes = 200,
                         .log_bytes_max = 2000,
                         .wal_bytes_ahead = 12000,
                         .wal_pages = 8}};
  }

  void ask(SqliteStore& store) {
    store.submit(created(1, "a"), {});
    for (std::uint64_t number = 1; number <= kEvents; ++number) {
      Batch batch = records(1, number, number);
      if (number % 4 == 0) {
        batch.checkpoints.push_back(
            {.key = RoomKey{1}, .checkpoint = {.number = number, .timer_ms = 0, .bytes = std::string(3000, 'c')}});
      }
      std::latch done(1);
      store.submit(std::move(batch), [&](const Batch&) {
        acknowledged_ = number;
        done.count_down();
      });
      done.wait();
    }
    std::latch found(1);
    store.find(name("a"), Extent::Needed, [&found](const Result<std::optional<StoredRoom>>&) { found.count_down(); });
    found.wait();
    store.stop();
  }

  // On the thread of whoever noticed: nothing else goes on.
  [[noreturn]] void look_and_exit() {
    const bool has_failed = disk_.has_failed();
    disk_.lose_power(acknowledged_ + 17);
    // The lock is this process's still: its file goes to another name, with all that is in it.
    std::filesystem::copy_file(folder_ / "lock", folder_ / "was");
    std::filesystem::rename(folder_ / "was", folder_ / "lock");
    const auto opened = Database::open(folder_, options().database);
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
      std::_Exit(kUnreadable);
    }
    const auto room = (*opened)->read(name("a"));
    if (!room) {
      std::fprintf(stderr, "%s\n", room.error().message.c_str());
      std::_Exit(kUnreadable);
    }
    std::uint64_t last = 0;
    if (room->has_value()) {
      last = (*room)->checkpoint ? (*room)->checkpoint->number : 0;
      for (const Record& record : (*room)->tail) {
        if (record.number != ++last || record.bytes != std::to_string(last)) {
          std::_Exit(kWrongTail);
        }
      }
    }
    std::_Exit(last < acknowledged_ ? kLost : has_failed ? kFine : kNothingFailed);
  }

  std::filesystem::path folder_;
  UnreliableDisk& disk_;
  NullLogger logger_;
  std::atomic<std::uint64_t> acknowledged_{0};
};

int exit_code_of(std::uint64_t operation, UnreliableDisk::Fault fault) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kSecondsMax);
    UnreliableDisk disk;
    disk.fail_at(operation, fault, UnreliableDisk::Counts::All);
    Work(folder.path(), disk).play();
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class Faults : public ::testing::TestWithParam<UnreliableDisk::Fault> {};

TEST_P(Faults, TheNthOperationFails) {
  std::uint64_t operation = 1 + static_cast<std::uint64_t>(GetParam()) % kStep;
  for (;; operation += kStep) {
    const int code = exit_code_of(operation, GetParam());
    if (code == kNothingFailed) {
      break;
    }
    ASSERT_EQ(code, kFine) << "operation " << operation;
  }
  EXPECT_GT(operation, 60U);
  RecordProperty("operations", static_cast<int>(operation - 1));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Faults,
                         ::testing::Values(UnreliableDisk::Fault::Io, UnreliableDisk::Fault::Full,
                                           UnreliableDisk::Fault::ShortWrite),
                         [](const auto& kind) {
                           return kind.param == UnreliableDisk::Fault::Io     ? "InputOutput"
                                  : kind.param == UnreliableDisk::Fault::Full ? "NoSpace"
                                                                              : "ShortWrite";
                         });

}  // namespace
}  // namespace jamsocket::store
