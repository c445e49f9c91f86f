#include "sandbox/calls.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "base/system.hpp"

namespace jamsocket::sandbox {
namespace {

// By topic; a name that this processor does not have is passed over.
constexpr std::initializer_list<const char*> kComputing = {
    // Memory
    "brk", "madvise", "mincore", "mmap", "mprotect", "mremap", "munmap", "membarrier",
    // Threads
    "arch_prctl", "exit", "exit_group", "futex", "futex_waitv", "getcpu", "gettid", "getpid", "getppid", "rseq",
    "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_setscheduler", "sched_yield", "setpriority",
    "set_robust_list", "set_tid_address", "tgkill",
    // Signals
    "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
    // Time and chance
    "clock_getres", "clock_gettime", "clock_nanosleep", "getrandom", "gettimeofday", "nanosleep", "time",
    // What is open
    "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fstat", "lseek", "read", "readv", "write", "writev",
    "poll", "ppoll", "eventfd2",
    // Itself
    "getegid", "geteuid", "getgid", "getrlimit", "getrusage", "getuid", "prlimit64", "sysinfo", "uname"};

constexpr std::initializer_list<const char*> kServing = {
    // Waiting
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "signalfd4", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "select", "pselect6", "pipe2",
    // Connections
    "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmmsg",
    "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
    // Files
    "access", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchmod", "fdatasync", "flock", "fstatfs", "fsync",
    "ftruncate", "getcwd", "getdents64", "link", "linkat", "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat",
    "openat2", "pread64", "preadv", "pwrite64", "pwritev", "readlink", "readlinkat", "rename", "renameat", "renameat2",
    "rmdir", "sendfile", "stat", "statfs", "statx", "sync_file_range", "umask", "unlink", "unlinkat", "utimensat",
    "chmod", "memfd_create",
    // Itself again, to compile a module; and waiting for that
    "chdir", "execve", "kill", "prctl", "setrlimit", "vfork", "wait4", "waitid", "pidfd_open", "pidfd_send_signal"};

using Filter = std::unique_ptr<void, decltype([](scmp_filter_ctx filter) { seccomp_release(filter); })>;

bool add(scmp_filter_ctx filter, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call >= 0 && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) {
      return false;
    }
  }
  return true;
}

// What SCMP_A0 and its like make, which is C.
constexpr scmp_arg_cmp argument(unsigned int index, scmp_compare compare, std::uint64_t datum) {
  return {.arg = index, .op = compare, .datum_a = datum, .datum_b = 0};
}

// Threads and processes, but no new namespaces. The C library falls back from clone3, whose flags are behind a pointer.
bool add_clone(scmp_filter_ctx filter) {
  constexpr auto kNamespaces = static_cast<std::uint64_t>(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                                          CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET);
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, argument(0, SCMP_CMP_MASKED_EQ, kNamespaces)) ==
             0 &&
         seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

// No packets below TCP and UDP; what the C library asks of a terminal and of a socket.
bool add_sockets(scmp_filter_ctx filter) {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
    const auto wanted = static_cast<std::uint64_t>(family);
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, argument(0, SCMP_CMP_EQ, wanted)) != 0) {
      return false;
    }
  }
  for (const int request : {TCGETS, TIOCGWINSZ, FIONBIO, FIONREAD}) {
    const auto wanted = static_cast<std::uint64_t>(request);
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, argument(1, SCMP_CMP_EQ, wanted)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<void> confine_calls(CallProfile profile) {
  const Filter filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (filter == nullptr) {
    return fail(ErrorCode::Unsupported, "this kernel has no seccomp");
  }
  bool good = add(filter.get(), kComputing) && add_clone(filter.get());
  if (profile == CallProfile::Server) {
    good = good && add(filter.get(), kServing) && add_sockets(filter.get());
  }
  if (!good) {
    return fail(ErrorCode::Io, "the list of system calls cannot be made");
  }
  const int error = seccomp_load(filter.get());
  if (error != 0) {
    return fail(ErrorCode::Io, fmt::format("the kernel refuses the list of system calls: {}", words_of(-error)));
  }
  return {};
}

}  // namespace jamsocket::sandbox
