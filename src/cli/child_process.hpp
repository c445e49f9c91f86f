// cli/child_process.hpp
//
// Runs a compiler: no shell, signals as a program expects them, what it prints goes to our standard error.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::cli {

struct ChildCommand {
  std::vector<std::string> words;  ///< Program (with a slash, or looked up on PATH), then arguments.
  std::string folder;              ///< Its working directory; empty: ours.
  std::vector<std::pair<std::string, std::string>> environment;  ///< Set besides ours.
};

struct ChildLimits {
  std::size_t output_bytes_max = 0;
  std::chrono::milliseconds time{0};  ///< On the clock.
};

/// What a child answered, and how it ended.
struct ChildAnswer {
  std::string output;
  std::string errors;  ///< At most 4 KiB.
  int exit_code = 0;
  int signal = 0;  ///< Not 0: it was ended by this.
  enum class Ended : std::uint8_t { ByItself, TooLate, TooMuchOutput } ended = Ended::ByItself;
};

/// Waits for its end.
/// @error NotFound    no such program
/// @error Io          it could not be started, or ended by a signal
/// @error Malformed   it ended with another code than 0
[[nodiscard]] Result<void> run_child(const ChildCommand& command);

/// The same, but gives what it printed on standard output, at most 64 KiB, without the last line end;
/// what it printed on standard error is lost.
[[nodiscard]] Result<std::string> output_of_child(const ChildCommand& command);

/// Writes `input` to the child's standard input while it reads what the child writes; kills it at a limit.
/// The child gets an empty environment. From any thread; SIGPIPE must be ignored.
/// @error NotFound, Io  as above
[[nodiscard]] Result<ChildAnswer> ask_child(const std::vector<std::string>& words, std::string_view input,
                                            const ChildLimits& limits);

/// The file that PATH finds for `program`; empty: none.
[[nodiscard]] std::string find_program(std::string_view program);

}  // namespace jamsocket::cli
