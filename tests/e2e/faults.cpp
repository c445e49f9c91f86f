// tests/e2e/faults.cpp
//
// A library to load in front of the others (LD_PRELOAD): what else may go wrong around a program. So the real programs
// are tested, with nothing in them for it.
//
// JAMSOCKET_FAULTS=FILE: four numbers of 64 bits, which the test writes while the program runs:
//   seconds that are added to the time of day
//   how many allocations there are until one fails; 0: none does
//   how many calls that accept a connection fail from here on
//   and with which error

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

struct Faults {
  std::atomic<std::int64_t> seconds_added;
  std::atomic<std::int64_t> allocations_left;
  std::atomic<std::int64_t> accepts_that_fail;
  std::atomic<std::int64_t> accept_error;
};

// The dynamic linker offers no other place.
Faults* faults = nullptr;  // allow(global): of a library that is loaded into programs that do not know it

__attribute__((constructor)) void map_faults() {
  const char* const file = std::getenv("JAMSOCKET_FAULTS");
  const int fd = file != nullptr ? ::open(file, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) {
    return;
  }
  void* const mapped = ::mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped != MAP_FAILED) {
    faults = static_cast<Faults*>(mapped);
  }
}

bool may_allocate() {
  if (faults == nullptr || faults->allocations_left.load(std::memory_order_relaxed) <= 0) {
    return true;
  }
  return faults->allocations_left.fetch_sub(1) != 1;
}

bool may_accept() {
  if (faults == nullptr || faults->accepts_that_fail.load(std::memory_order_relaxed) <= 0) {
    return true;
  }
  return faults->accepts_that_fail.fetch_sub(1) <= 0;
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t bytes);  // NOLINT(bugprone-reserved-identifier): the C library named it.

__attribute__((visibility("default"))) void* malloc(std::size_t bytes) {
  if (!may_allocate()) {
    errno = ENOMEM;
    return nullptr;
  }
  return __libc_malloc(bytes);
}

__attribute__((visibility("default"))) int accept4(int fd, sockaddr* peer, socklen_t* length, int flags) {
  if (!may_accept()) {
    errno = static_cast<int>(faults->accept_error.load(std::memory_order_relaxed));
    return -1;
  }
  return static_cast<int>(::syscall(SYS_accept4, fd, peer, length, flags));
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* time) {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && clock == CLOCK_REALTIME && faults != nullptr) {
    time->tv_sec += faults->seconds_added.load(std::memory_order_relaxed);
  }
  return static_cast<int>(result);
}

}  // extern "C"
