// tests/e2e/kill_points.cpp
//
// A library to load in front of the others (LD_PRELOAD): ends the process, as kill -9 does, at a named point of what it
// does with the files of a data directory and with its sockets. So the real programs are tested, with nothing in them
// for it.
//
// JAMSOCKET_KILL_AT=POINT:before|after:N, at the N-th time from the start of the process. Points:
//   log_begin   the write-ahead log begins, or begins anew over what was worked in: its header is written
//   log_write   a page goes into the log: events, checkpoints of rooms
//   log_sync    a commit; after it, the gates open
//   mark        how far the log is known to be on disk
//   file_write  a page goes from the log into the database file
//   file_sync   all of them are there
//   log_remove  the log goes, at the end of a process
//   send        what a gate let out goes to a client
//
// JAMSOCKET_HOLD_SYNC=FILE: while there is such a file, what syncs the log waits: a disk that takes its time.
//
// JAMSOCKET_BYTES_AT_MOST=N: writes of files write no more at once, and every third one is interrupted, as a signal
// does.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace {

struct KillPoint {
  std::string_view name;
  bool is_before = false;
  std::atomic<int> times_left{-1};  ///< Negative: never.
};

// The dynamic linker offers no other place.
KillPoint kill_point;  // allow(global): of a library that is loaded into programs that do not know it

struct Stutter {
  std::size_t bytes_at_most = 0;  ///< 0: none.
  std::atomic<unsigned> writes{0};
};

Stutter stutter;  // allow(global): as above

const char* hold_sync = nullptr;  // allow(global): as above

__attribute__((constructor)) void read_environment() {
  hold_sync = std::getenv("JAMSOCKET_HOLD_SYNC");
  if (const char* const most = std::getenv("JAMSOCKET_BYTES_AT_MOST"); most != nullptr) {
    stutter.bytes_at_most = std::strtoull(most, nullptr, 10);
  }
  const char* const text = std::getenv("JAMSOCKET_KILL_AT");
  if (text == nullptr) {
    return;
  }
  const std::string_view all(text);
  const std::size_t first = all.find(':');
  const std::size_t second = all.find(':', first + 1);
  int times = -1;
  std::from_chars(all.data() + second + 1, all.data() + all.size(), times);
  kill_point.name = all.substr(0, first);
  kill_point.is_before = all.substr(first + 1, second - first - 1) == "before";
  kill_point.times_left = times;
  ::unsetenv("LD_PRELOAD");  // Not in processes that this one starts.
}

bool is_last_time(std::string_view name) { return name == kill_point.name && kill_point.times_left-- == 1; }

[[noreturn]] void end_process() {
  ::kill(::getpid(), SIGKILL);
  for (;;) {
    ::pause();
  }
}

/// `work`, which is the point `name`; the process may end on either side of it.
template <typename Work>
auto at(std::string_view name, Work work) {
  const bool ends = is_last_time(name);
  if (ends && kill_point.is_before) {
    end_process();
  }
  const auto result = work();
  if (ends) {
    end_process();
  }
  return result;
}

enum class File { Other, Database, Log, Lock };

File file_of(std::string_view path) {
  return path.ends_with("/rooms.db")       ? File::Database
         : path.ends_with("/rooms.db-wal") ? File::Log
         : path.ends_with("/lock")         ? File::Lock
                                           : File::Other;
}

File file_of(int file) {
  if (kill_point.times_left < 0 && hold_sync == nullptr) {
    return File::Other;
  }
  std::array<char, 64> link{"/proc/self/fd/"};
  *std::to_chars(link.data() + 14, link.data() + link.size() - 1, file).ptr = '\0';
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink(link.data(), path.data(), path.size());
  return length > 0 ? file_of(std::string_view(path.data(), static_cast<std::size_t>(length))) : File::Other;
}

std::string_view write_point(File file, off64_t offset) {
  switch (file) {
    case File::Database:
      return "file_write";
    case File::Log:
      return offset == 0 ? "log_begin" : "log_write";
    case File::Lock:
      return "mark";
    case File::Other:
      break;
  }
  return "";
}

void wait_where_held(File file) {
  while (hold_sync != nullptr && file == File::Log && ::access(hold_sync, F_OK) == 0) {
    ::poll(nullptr, 0, 1);
  }
}

std::string_view sync_point(File file) {
  return file == File::Database ? "file_sync" : file == File::Log ? "log_sync" : "";
}

}  // namespace

// What the C library has under these names. Straight to the kernel: there is nothing else in them.
extern "C" {

__attribute__((visibility("default"))) ssize_t pwrite64(int file, const void* bytes, std::size_t count,
                                                        off64_t offset) {
  if (stutter.bytes_at_most != 0) {
    count = std::min(count, stutter.bytes_at_most);
    if (++stutter.writes % 3 == 0) {
      errno = EINTR;
      return -1;
    }
  }
  return at(write_point(file_of(file), offset), [&] { return ::syscall(SYS_pwrite64, file, bytes, count, offset); });
}

__attribute__((visibility("default"))) ssize_t pwrite(int file, const void* bytes, std::size_t count, off_t offset) {
  return pwrite64(file, bytes, count, offset);
}

__attribute__((visibility("default"))) int fdatasync(int file) {
  wait_where_held(file_of(file));
  return at(sync_point(file_of(file)), [&] { return static_cast<int>(::syscall(SYS_fdatasync, file)); });
}

__attribute__((visibility("default"))) int fsync(int file) {
  wait_where_held(file_of(file));
  return at(sync_point(file_of(file)), [&] { return static_cast<int>(::syscall(SYS_fsync, file)); });
}

__attribute__((visibility("default"))) int unlink(const char* path) noexcept {
  return at(file_of(std::string_view(path)) == File::Log ? "log_remove" : "",
            [&] { return static_cast<int>(::syscall(SYS_unlink, path)); });
}

__attribute__((visibility("default"))) ssize_t send(int socket, const void* bytes, std::size_t count, int flags) {
  return at("send", [&] { return ::syscall(SYS_sendto, socket, bytes, count, flags, nullptr, 0); });
}

__attribute__((visibility("default"))) ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  return at("send", [&] { return ::syscall(SYS_sendmsg, socket, message, flags); });
}
}
