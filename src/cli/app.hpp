// cli/app.hpp
//
// The whole command line: commands, help, and what is said of a mistyped word.

#pragma once

namespace jamsocket::cli {

/// @return the process's exit code, see output.hpp.
int run(int argument_count, const char* const* arguments);

}  // namespace jamsocket::cli
