// cli/confinement.hpp
//
// What a serving process gives away before it serves.

#pragma once

#include <string>

#include "base/result.hpp"
#include "config/load.hpp"

namespace jamsocket::cli {

/// New privileges always; with `server.sandbox` on, files that the settings do not name, system calls that no server
/// makes, and a memory that others may look into. Call before any other thread starts.
/// @param module_file  what is served besides; may be empty.
/// @error Unsupported, Io  see sandbox/; the message says what the kernel refused.
[[nodiscard]] Result<void> confine_server(const config::Loaded& loaded, const std::string& module_file);

}  // namespace jamsocket::cli
