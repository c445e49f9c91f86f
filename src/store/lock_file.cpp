#include "store/lock_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
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

// Asked again and again: a wait in the kernel knows no end but a signal.
bool lock_within(int file, std::chrono::milliseconds wait) {
  constexpr std::chrono::milliseconds kPause{20};
  while (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (wait.count() <= 0) {
      return false;
    }
    ::poll(nullptr, 0, static_cast<int>(kPause.count()));
    wait -= kPause;
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<LockFile>> LockFile::take(const std::filesystem::path& directory,
                                                 std::chrono::milliseconds wait) {
  const std::string path = directory / "lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    return fail(ErrorCode::Io,
                fmt::format("the data directory {} cannot be used: {}", directory.string(), words_of(errno)));
  }
  auto lock = std::make_unique<LockFile>(file);
  if (!lock_within(file, wait)) {
    return fail(ErrorCode::LimitReached,
                fmt::format("the data directory {} is in use by another process; a directory belongs to one server",
                            directory.string()));
  }
  return lock;
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
