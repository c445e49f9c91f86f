// sandbox/harden.hpp
//
// What every server can do without.

#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace jamsocket::sandbox {

/// Whether others of the same user may look into the process: attach a debugger, find its core.
enum class Dumpable : std::uint8_t { No, Yes };

/// No program that this process starts gets more rights than it has (no set-user-id). For the calling thread and
/// those it starts.
/// @error Io  the kernel refuses; the message says what.
[[nodiscard]] Result<void> harden_process(Dumpable dumpable);

}  // namespace jamsocket::sandbox
