#include "cli/compile_module.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "base/number.hpp"
#include "cli/output.hpp"
#include "sandbox/calls.hpp"
#include "wasm/engine.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kModuleBytesMax = std::size_t{64} << 20U;  // Rewritten, it is larger than it was.

bool limit(decltype(RLIMIT_CPU) resource, rlim_t most) {
  const rlimit limits{.rlim_cur = most, .rlim_max = most};
  return ::setrlimit(resource, &limits) == 0;
}

// Ends with the server; leaves no core, writes no file, starts no process.
bool confine(rlim_t cpu_seconds, rlim_t address_space_bytes) {
  // The signal at the soft limit says why; a second later nothing can hold it up.
  const rlimit cpu{.rlim_cur = cpu_seconds, .rlim_max = cpu_seconds + 1};
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::setrlimit(RLIMIT_CPU, &cpu) == 0 && limit(RLIMIT_AS, address_space_bytes) && limit(RLIMIT_CORE, 0) &&
         limit(RLIMIT_FSIZE, 0);
}

std::optional<std::string> read_module() {
  std::string bytes;
  std::array<char, std::size_t{64} << 10U> buffer;
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count == 0) {
      return bytes;
    }
    if (count < 0 && errno != EINTR) {
      return std::nullopt;
    }
    bytes.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (bytes.size() > kModuleBytesMax) {
      return std::nullopt;
    }
  }
}

bool write_code(std::string_view code) {
  while (!code.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, code.data(), code.size());
    if (count < 0 && errno != EINTR) {
      return false;
    }
    code.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return true;
}

int compile(const wasm::EngineOptions& options) {
  const std::optional<std::string> module = read_module();
  if (!module) {
    note("the module cannot be read, or is too large");
    return kExitFailed;
  }
  // What a stranger's module could make of a fault in the compiler: nothing that leaves this process but its answer.
  if (const Result<void> confined = sandbox::confine_calls(sandbox::CallProfile::Computes); !confined) {
    note(confined.error().message);
    return kExitFailed;
  }
  const wasm::Engine engine(options);
  const Result<std::string> code = engine.compile(*module);
  if (!code) {
    note(code.error().message);
    return kCompileNotValid;
  }
  return write_code(*code) ? kExitDone : kExitFailed;
}

}  // namespace

std::optional<int> compile_module_if_asked(int argument_count, const char* const* arguments) {
  constexpr int kWords = 6;
  if (argument_count != kWords || arguments[1] != kCompileModule) {
    return std::nullopt;
  }
  const auto memory = parse_number<std::uint64_t>(arguments[2]);
  const auto stack = parse_number<std::uint64_t>(arguments[3]);
  const auto cpu_seconds = parse_number<std::uint64_t>(arguments[4]);
  const auto address_space = parse_number<std::uint64_t>(arguments[5]);
  if (!memory || !stack || !cpu_seconds || !address_space || !confine(*cpu_seconds, *address_space)) {
    note("compile-module is for the server's own use");
    return kExitUsage;
  }
  try {
    return compile({.memory_bytes_max = *memory, .stack_bytes_max = *stack});
  } catch (const std::bad_alloc&) {
    return kCompileNoMemory;
  }
}

}  // namespace jamsocket::cli
