// sandbox/calls.hpp
//
// seccomp: from here on, no system calls but those of a server.

#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace jamsocket::sandbox {

enum class CallProfile : std::uint8_t {
  Server,    ///< Files, sockets, threads, and starting itself again; no debugging, mounting, tracing, loading, ...
  Computes,  ///< Reads and writes what is open, has memory and threads, and ends.
};

/// For the calling thread and those it starts, and for good; anything else fails with EPERM. The process must have
/// given up new privileges.
/// @error Unsupported  the kernel has no seccomp.
/// @error Io           the kernel refuses the filter.
[[nodiscard]] Result<void> confine_calls(CallProfile profile);

}  // namespace jamsocket::sandbox
