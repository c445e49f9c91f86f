#include "sandbox/harden.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/system.hpp"

namespace jamsocket::sandbox {
namespace {

std::unexpected<Error> refused(std::string_view what) {
  return fail(ErrorCode::Io, fmt::format("{}: {}", what, words_of(errno)));
}

}  // namespace

Result<void> harden_process(Dumpable dumpable) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return refused("the process cannot give up new privileges");
  }
  if (dumpable == Dumpable::Yes) {
    return {};
  }
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0) {
    return refused("the process cannot hide its memory");
  }
  return {};
}

}  // namespace jamsocket::sandbox
