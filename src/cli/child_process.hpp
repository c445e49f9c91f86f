// cli/child_process.hpp
//
// Runs a compiler: no shell, signals as a program expects them, what it prints goes to our standard error.

#pragma once

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

/// Waits for its end.
/// @error NotFound    no such program
/// @error Io          it could not be started, or ended by a signal
/// @error Malformed   it ended with another code than 0
[[nodiscard]] Result<void> run_child(const ChildCommand& command);

/// The same, but gives what it printed on standard output, at most 64 KiB, without the last line end;
/// what it printed on standard error is lost.
[[nodiscard]] Result<std::string> output_of_child(const ChildCommand& command);

/// The file that PATH finds for `program`; empty: none.
[[nodiscard]] std::string find_program(std::string_view program);

}  // namespace jamsocket::cli
