#include "cli/compile_helper.hpp"

#include <fmt/format.h>

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "cli/child_process.hpp"
#include "cli/compile_module.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kCodeBytesMax = std::size_t{256} << 20U;

std::string first_line(std::string_view text) { return escape_for_log(text.substr(0, text.find('\n')), 1000); }

// Why the helper gave no code. A compiler without memory aborts; one without time is told so by the kernel.
Error why(const ChildAnswer& answer, const CompileLimits& limits) {
  if (answer.ended == ChildAnswer::Ended::TooLate) {
    return {ErrorCode::LimitReached, fmt::format("compiling the module took more than {} s; allowed: {} s "
                                                 "(modules.compile_wall_seconds_max)",
                                                 limits.wall.count(), limits.wall.count())};
  }
  if (answer.ended == ChildAnswer::Ended::TooMuchOutput) {
    return {ErrorCode::LimitReached, fmt::format("the module's code has more than {} MiB; allowed: {} MiB",
                                                 kCodeBytesMax >> 20U, kCodeBytesMax >> 20U)};
  }
  if (answer.signal == SIGXCPU || answer.signal == SIGKILL) {
    return {ErrorCode::LimitReached, fmt::format("compiling the module used more processor time than allowed: {} s "
                                                 "(modules.compile_cpu_seconds_max)",
                                                 limits.cpu.count())};
  }
  if (answer.signal != 0 || answer.exit_code == kCompileNoMemory) {
    return {ErrorCode::LimitReached, fmt::format("compiling the module needed more memory than allowed: {} MiB "
                                                 "(modules.compile_memory_bytes_max){}",
                                                 limits.memory_bytes >> 20U,
                                                 answer.signal == 0 ? "" : fmt::format("; signal {}", answer.signal))};
  }
  if (answer.exit_code == kCompileNotValid) {
    return {ErrorCode::Malformed, first_line(answer.errors)};
  }
  return {ErrorCode::Io, fmt::format("the process that compiles modules failed with exit code {}: {}", answer.exit_code,
                                     first_line(answer.errors))};
}

}  // namespace

Result<std::string> CompileHelper::compile(std::string_view module, const wasm::EngineOptions& engine) const {
  const std::vector<std::string> words{"/proc/self/exe",
                                       std::string(kCompileModule),
                                       std::to_string(engine.memory_bytes_max),
                                       std::to_string(engine.stack_bytes_max),
                                       std::to_string(limits_.cpu.count()),
                                       std::to_string(limits_.memory_bytes)};
  ChildAnswer answer = JAM_TRY(ask_child(words, module, {.output_bytes_max = kCodeBytesMax, .time = limits_.wall}));
  if (answer.ended != ChildAnswer::Ended::ByItself || answer.signal != 0 || answer.exit_code != 0) {
    return std::unexpected(why(answer, limits_));
  }
  return std::move(answer.output);
}

}  // namespace jamsocket::cli
