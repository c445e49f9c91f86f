// base/heap.hpp
//
// The process's heap: giving back to the system what was freed.

#pragma once

namespace jamsocket {

/// Returns freed pages of the heap to the system. Takes milliseconds where much was freed, during which
/// other threads may wait for memory: for after a crowd has left. Any thread.
void return_freed_memory();

}  // namespace jamsocket
