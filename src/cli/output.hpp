// cli/output.hpp
//
// What the command says, and how it ends.

#pragma once

#include <span>
#include <string>
#include <string_view>

namespace jamsocket::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;  ///< The world said no: no such file, port taken, build failed.
inline constexpr int kExitUsage = 2;   ///< The command line or the configuration is wrong.

/// Writes the line to standard output, at once.
void say(std::string_view line);
/// Writes the text as it is to standard output, at once.
void write_out(std::string_view text);
/// Writes the line to standard error.
void note(std::string_view line);
/// At the end of a command: what it said is its result, and may not be lost in silence.
/// @return `exit_code`; kExitFailed in place of kExitDone where standard output could not be written.
[[nodiscard]] int with_all_said(int exit_code);
/// "jamsocket: what" to standard error, in red on a terminal.
/// @return `exit_code`.
int complain(std::string_view what, int exit_code = kExitFailed);
/// A line each, to standard error.
/// @return kExitUsage.
int complain_of_settings(std::span<const std::string> problems);

}  // namespace jamsocket::cli
