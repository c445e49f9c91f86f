// Goal: what is given away is gone, and what is kept works. Method: each case in a child process of its own, as
// nothing of this can be taken back.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "sandbox/calls.hpp"
#include "sandbox/files.hpp"
#include "sandbox/harden.hpp"

namespace jamsocket::sandbox {
namespace {

// Runs `body` in a child. @return what it returned (0 to 255), or -1: it did not end by itself.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(body());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr int kGood = 0;
constexpr int kNotConfined = 100;

// The number of the first expectation that does not hold, from 1.
int first_wrong(std::initializer_list<bool> expectations) {
  int number = 0;
  for (const bool holds : expectations) {
    ++number;
    if (!holds) {
      return number;
    }
  }
  return kGood;
}

bool fails_with(long result, int error) { return result == -1 && errno == error; }

class SandboxFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1) {
      GTEST_SKIP() << "this kernel has no Landlock";
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "jamsocket-sandbox-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* name : {"read", "write", "other"}) {
      std::filesystem::create_directory(folder_ / name);
      std::ofstream(folder_ / name / "file") << "x";
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] long open(const char* name, int flags) const {
    const int file = ::open((folder_ / name).c_str(), flags | O_CLOEXEC, 0600);
    const int error = errno;
    if (file >= 0) {
      ::close(file);
    }
    errno = error;
    return file >= 0 ? 0 : -1;
  }
  [[nodiscard]] bool confine() const {
    return harden_process(Dumpable::Yes).has_value() &&
           confine_files({.read = {folder_ / "read", folder_ / "none"}, .write = {folder_ / "write"}, .execute = {}})
               .has_value();
  }

  std::filesystem::path folder_;
};

TEST_F(SandboxFiles, OnlyWhatIsNamedCanBeOpened) {
  EXPECT_EQ(kGood, in_child([this] {
              if (!confine()) {
                return kNotConfined;
              }
              return first_wrong({open("read/file", O_RDONLY) == 0, fails_with(open("read/file", O_WRONLY), EACCES),
                                  fails_with(open("read/new", O_CREAT | O_WRONLY), EACCES),
                                  open("write/file", O_RDWR | O_TRUNC) == 0, open("write/new", O_CREAT | O_WRONLY) == 0,
                                  fails_with(open("other/file", O_RDONLY), EACCES),
                                  fails_with(open("read/../other/file", O_RDONLY), EACCES)});
            }));
}

TEST_F(SandboxFiles, NoProgramCanBeStarted) {
  EXPECT_EQ(kGood, in_child([this] {
              if (!confine()) {
                return kNotConfined;
              }
              const char* const words[] = {"/bin/true", nullptr};
              return first_wrong({fails_with(::execv(words[0], const_cast<char* const*>(words)), EACCES)});
            }));
}

TEST_F(SandboxFiles, ThreadsThatComeLaterAreConfinedAsWell) {
  EXPECT_EQ(kGood, in_child([this] {
              if (!confine()) {
                return kNotConfined;
              }
              bool refused = false;
              std::thread([&] { refused = fails_with(open("other/file", O_RDONLY), EACCES); }).join();
              return first_wrong({refused});
            }));
}

TEST(SandboxCalls, AServerKeepsItsOwnAndLosesTheRest) {
  EXPECT_EQ(kGood, in_child([] {
              if (!harden_process(Dumpable::Yes) || !confine_calls(CallProfile::Server)) {
                return kNotConfined;
              }
              bool threads_work = false;
              std::thread([&] { threads_work = true; }).join();
              return first_wrong({threads_work, ::socket(AF_INET, SOCK_STREAM, 0) >= 0,
                                  fails_with(::socket(AF_PACKET, SOCK_RAW, 0), EPERM),
                                  fails_with(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr), EPERM),
                                  fails_with(::unshare(CLONE_NEWUSER), EPERM),
                                  fails_with(::syscall(SYS_mount, "a", "/", "b", 0, nullptr), EPERM),
                                  fails_with(::syscall(SYS_bpf, 0, nullptr, 0), EPERM),
                                  fails_with(::syscall(SYS_io_uring_setup, 1, nullptr), EPERM),
                                  fails_with(::syscall(SYS_keyctl, 0, 0), EPERM),
                                  fails_with(::syscall(SYS_setuid, 0), EPERM)});
            }));
}

TEST(SandboxCalls, WhoComputesHasNeitherFilesNorSockets) {
  EXPECT_EQ(kGood, in_child([] {
              if (!harden_process(Dumpable::Yes) || !confine_calls(CallProfile::Computes)) {
                return kNotConfined;
              }
              bool threads_work = false;
              std::thread([&] { threads_work = true; }).join();
              return first_wrong({threads_work, fails_with(::open("/dev/null", O_RDONLY), EPERM),
                                  fails_with(::socket(AF_INET, SOCK_STREAM, 0), EPERM),
                                  fails_with(::execl("/bin/true", "true", nullptr), EPERM)});
            }));
}

TEST(Harden, NeitherNewPrivilegesNorACore) {
  EXPECT_EQ(kGood, in_child([] {
              if (!harden_process(Dumpable::No)) {
                return kNotConfined;
              }
              rlimit core{};
              ::getrlimit(RLIMIT_CORE, &core);
              return first_wrong(
                  {::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, ::prctl(PR_GET_DUMPABLE) == 0, core.rlim_max == 0});
            }));
}

}  // namespace
}  // namespace jamsocket::sandbox
