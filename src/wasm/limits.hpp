// wasm/limits.hpp
//
// What one room of a module may use.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace jamsocket::wasm {

/// Sends, bytes and log lines of an event are limited by the Effects that the caller passes in
/// (service/effects.hpp), the stack by the engine (EngineOptions).
struct ModuleLimits {
  /// Linear memory; at most EngineOptions::memory_bytes_max. Beyond, memory.grow answers -1; a guest
  /// that then traps ends with Outcome::MemoryLimit.
  std::size_t memory_bytes_max = std::size_t{64} << 20U;
  /// Elements of each table. Beyond, table.grow answers -1.
  std::uint32_t table_elements_max = 100'000;
  /// CPU time of the thread that runs the event: a busy machine convicts nobody. Beyond: Outcome::CpuLimit.
  std::chrono::milliseconds cpu_per_event{100};
  /// Wall time besides, counted in the engine's ticks. Beyond: Outcome::CpuLimit.
  std::chrono::milliseconds wall_per_event{5'000};
};

}  // namespace jamsocket::wasm
