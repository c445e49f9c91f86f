#include "store/lock_file.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::TemporaryFolder;

// By this process.
std::size_t times_open(const std::filesystem::path& path) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code is_closed;
    count += std::filesystem::read_symlink(entry.path(), is_closed) == path ? 1U : 0U;
  }
  return count;
}

TEST(LockFile, OneAtATime) {
  const TemporaryFolder folder;
  {
    const auto first = LockFile::take(folder.path());
    ASSERT_TRUE(first) << first.error().message;
    const auto second = LockFile::take(folder.path());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::LimitReached);
  }
  EXPECT_TRUE(LockFile::take(folder.path()));
}

TEST(LockFile, WaitsForWhoLetsGoOfIt) {
  using namespace std::chrono_literals;
  const TemporaryFolder folder;
  auto first = LockFile::take(folder.path());
  ASSERT_TRUE(first);
  EXPECT_EQ(LockFile::take(folder.path(), 50ms).error().code, ErrorCode::LimitReached);
  std::latch begun(1);
  std::thread other([&] {
    begun.count_down();
    EXPECT_TRUE(LockFile::take(folder.path(), 60s));
  });
  begun.wait();
  first->reset();
  other.join();
}

TEST(LockFile, OneThatWasRemovedMeanwhileIsNoLock) {
  using namespace std::chrono_literals;
  const TemporaryFolder folder;
  auto first = LockFile::take(folder.path());
  ASSERT_TRUE(first);
  std::jthread other([&] {
    const auto lock = LockFile::take(folder.path(), 60s);
    ASSERT_TRUE(lock);
    EXPECT_EQ(LockFile::take(folder.path()).error().code, ErrorCode::LimitReached);
  });
  for (int i = 0; i < 1'000'000 && times_open(folder.path() / "lock") < 2; ++i) {
    std::this_thread::yield();
  }
  std::filesystem::remove(folder.path() / "lock");
  first->reset();
}

TEST(LockFile, TheMarkIsThereAgain) {
  const TemporaryFolder folder;
  {
    const auto lock = LockFile::take(folder.path());
    EXPECT_FALSE((*lock)->mark());
    ASSERT_TRUE((*lock)->set_mark({.salt = 7, .frames = 1000}));
    ASSERT_TRUE((*lock)->set_mark({.salt = 8, .frames = 3, .use = LogUse::WorkedIn}));
  }
  const auto lock = LockFile::take(folder.path());
  EXPECT_EQ((*lock)->mark(), (LogMark{.salt = 8, .frames = 3, .use = LogUse::WorkedIn}));
}

TEST(LockFile, WhatIsNoMarkIsNone) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "lock";
  std::ofstream(path) << "1234\n";  // As other programs write their process's number.
  const auto lock = LockFile::take(folder.path());
  EXPECT_FALSE((*lock)->mark());
  ASSERT_TRUE((*lock)->set_mark({.salt = 8, .frames = 3}));
  for (std::uintmax_t bit = 0; bit < std::filesystem::file_size(path) * 8; ++bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(bit / 8);
    const auto byte = [&] {
      file.seekg(at);
      return static_cast<char>(file.get());
    }();
    const auto put = [&](int value) {
      file.seekp(at);
      file.put(static_cast<char>(value));
      file.flush();
    };
    put(byte ^ (1 << (bit % 8)));
    EXPECT_FALSE((*lock)->mark()) << "bit " << bit;
    put(byte);
  }
}

}  // namespace
}  // namespace jamsocket::store
