#include "store/lock_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/system.hpp"
#include "store/log_row.hpp"

namespace jamsocket::store {
namespace {

struct Stored {
  LogMark mark;
  std::uint64_t sum;
};
static_assert(sizeof(Stored) == 32, "the mark is written as it lies in memory");

std::uint64_t sum_of(const LogMark& mark) {
  return checksum("mark", {reinterpret_cast<const char*>(&mark), sizeof mark});
}

// Whether it is what others find at the path: somebody may have removed it, or its folder, meanwhile.
bool is_at(const std::string& path, int file) {
  struct stat held{};
  struct stat found{};
  return ::fstat(file, &held) == 0 && ::stat(path.c_str(), &found) == 0 && held.st_dev == found.st_dev &&
         held.st_ino == found.st_ino;
}

enum class Locked : std::uint8_t { Yes, InUse, Removed };

// Asked again and again: a wait in the kernel knows no end but a signal.
Locked lock_within(int file, const std::string& path, std::chrono::milliseconds& wait) {
  constexpr std::chrono::milliseconds kPause{20};
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (wait.count() <= 0) {
      return Locked::InUse;
    }
    ::poll(nullptr, 0, static_cast<int>(kPause.count()));
    wait -= kPause;
  }
  return is_at(path, file) ? Locked::Yes : Locked::Removed;
}

}  // namespace

Result<std::unique_ptr<LockFile>> LockFile::take(const std::filesystem::path& directory,
                                                 std::chrono::milliseconds wait) {
  const std::string path = directory / "lock";
  for (;;) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      return fail(ErrorCode::Io,
                  fmt::format("the data directory {} cannot be used: {}", directory.string(), words_of(errno)));
    }
    auto lock = std::make_unique<LockFile>(file);
    const Locked locked = lock_within(file, path, wait);
    if (locked == Locked::Yes) {
      return lock;
    }
    if (locked == Locked::InUse) {
      return fail(ErrorCode::LimitReached,
                  fmt::format("the data directory {} is in use by another process; a directory belongs to one server",
                              directory.string()));
    }
  }
}

LockFile::~LockFile() { ::close(file_); }

std::optional<LogMark> LockFile::mark() const {
  Stored stored{};
  if (::pread(file_, &stored, sizeof stored, 0) != ssize_t{sizeof stored} || stored.sum != sum_of(stored.mark)) {
    return std::nullopt;
  }
  return stored.mark;
}

Result<void> LockFile::set_mark(const LogMark& mark) {
  const Stored stored{.mark = mark, .sum = sum_of(mark)};
  const auto* const bytes = reinterpret_cast<const char*>(&stored);
  for (std::size_t done = 0; done < sizeof stored;) {
    const ssize_t count = ::pwrite(file_, bytes + done, sizeof stored - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return fail(ErrorCode::Io, fmt::format("the lock file cannot be written: {}", words_of(errno)));
    }
    done += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace jamsocket::store
