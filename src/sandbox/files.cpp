#include "sandbox/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/log.hpp"
#include "base/system.hpp"

namespace jamsocket::sandbox {
namespace {

// Later than the headers of Debian 12: interface versions 3, 4 and 5.
constexpr std::uint64_t kTruncate = std::uint64_t{1} << 14U;
constexpr std::uint64_t kDeviceControl = std::uint64_t{1} << 15U;
constexpr std::uint64_t kConnectTcp = std::uint64_t{1} << 1U;

struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
};

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = kRead | LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kWrite = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | kTruncate;
constexpr std::uint64_t kSockets =
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
// The first version's; all that a file, as against a folder, can have.
constexpr std::uint64_t kFirstVersion = (std::uint64_t{1} << 13U) - 1;
constexpr std::uint64_t kOfAFile = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                   LANDLOCK_ACCESS_FS_EXECUTE | kTruncate | kDeviceControl;

// Everything that this version of the kernel's interface can refuse.
RulesetAttributes all_of(long version) {
  RulesetAttributes all{.files = kFirstVersion, .network = 0};
  all.files |= version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0U;
  all.files |= version >= 3 ? kTruncate : 0U;
  all.network |= version >= 4 ? kConnectTcp : 0U;
  all.files |= version >= 5 ? kDeviceControl : 0U;
  return all;
}

Result<void> allow(int ruleset, const std::filesystem::path& path, std::uint64_t access) {
  const Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status{};
  if (!place.valid() && (errno == ENOENT || errno == ENOTDIR)) {
    return {};
  }
  if (!place.valid() || ::fstat(place.get(), &status) != 0) {
    return fail(ErrorCode::Io,
                fmt::format("{} cannot be looked at: {}", escape_for_log(path.string(), 300), words_of(errno)));
  }
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(status.st_mode) ? access : access & kOfAFile;
  rule.parent_fd = place.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return fail(ErrorCode::Io,
                fmt::format("{} cannot be named to Landlock: {}", escape_for_log(path.string(), 300), words_of(errno)));
  }
  return {};
}

}  // namespace

Result<void> confine_files(const FileAccess& access) {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    return fail(ErrorCode::Unsupported,
                fmt::format("this kernel has no Landlock, or it is switched off: {}", words_of(errno)));
  }
  const RulesetAttributes all = all_of(version);
  const std::size_t size = version >= 4 ? sizeof all : sizeof all.files;
  const Descriptor ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &all, size, 0)));
  if (!ruleset.valid()) {
    return fail(ErrorCode::Io, fmt::format("Landlock refuses its rules: {}", words_of(errno)));
  }
  for (const auto& [paths, wanted] : {std::pair{&access.read, kRead}, std::pair{&access.execute, kExecute},
                                      std::pair{&access.write, kWrite}, std::pair{&access.sockets, kSockets}}) {
    for (const std::filesystem::path& path : *paths) {
      JAM_TRY_VOID(allow(ruleset.get(), path, wanted & all.files));
    }
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return fail(ErrorCode::Io, fmt::format("Landlock cannot be entered: {}", words_of(errno)));
  }
  return {};
}

}  // namespace jamsocket::sandbox
