// wasm/call_state.hpp
//
// What host functions know of the event that a guest is handling: reached by the store's data
// pointer, so that it does not matter on which thread a call runs.

#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "service/effects.hpp"
#include "service/event.hpp"
#include "service/random.hpp"
#include "service/service.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/limits.hpp"

namespace jamsocket::wasm {

/// A guest's linear memory. Its base never moves; its size only grows, so that a range that fitted
/// once fits for ever and the engine is asked only when one does not.
class GuestMemory {
 public:
  void attach(wasmtime_context_t* context, const wasmtime_memory_t& memory);
  [[nodiscard]] bool attached() const { return context_ != nullptr; }
  [[nodiscard]] std::byte* base() const { return base_; }
  [[nodiscard]] std::size_t size_bytes();
  /// Grows it to `bytes`, a multiple of 64 KiB. @return false: it may not be that large.
  [[nodiscard]] bool grow_to(std::size_t bytes);

  /// The bytes [pointer, pointer + length) of the guest, or null when any is outside; a length of 0
  /// at the memory's end is inside.
  [[nodiscard]] std::byte* range(std::uint32_t pointer, std::uint32_t length) {
    const std::uint64_t end = std::uint64_t{pointer} + length;
    if (end > size_bytes_ && end > size_bytes()) [[unlikely]] {
      return nullptr;
    }
    return base_ + pointer;
  }

 private:
  wasmtime_context_t* context_ = nullptr;
  wasmtime_memory_t memory_{};
  std::byte* base_ = nullptr;
  std::size_t size_bytes_ = 0;  // As last seen.
};

/// Time spent in one event, looked at once a tick of the engine: an event that ends before the first
/// tick has cost no system call.
class CallWatch {
 public:
  explicit CallWatch(const ModuleLimits& limits) : cpu_max_(limits.cpu_per_event), wall_max_(limits.wall_per_event) {}

  /// An event that ran within its budget once must do so again, on whatever machine: it gets more.
  enum class Budget : std::int64_t { Once = 1, Again = 20 };
  void start(Budget budget) {
    ticks_ = 0;
    runs_long_ = false;
    generosity_ = static_cast<std::int64_t>(budget);
  }
  /// A tick passed while the guest ran. @return whether the call may go on.
  [[nodiscard]] bool tick();
  /// The same, at this time and with so much CPU time used by the thread.
  [[nodiscard]] bool tick(SteadyTime now, std::chrono::nanoseconds cpu_time);
  /// Whether the event has computed for about a millisecond, and perhaps five. One whose thread waits for a processor
  /// does not: a busy machine makes no room slow.
  [[nodiscard]] bool runs_long() const { return runs_long_; }
  /// Whether something is decided within the next milliseconds.
  [[nodiscard]] bool needs_exact_ticks() const { return !runs_long() || cpu_left_ < kNearTheEnd; }
  /// After tick() said no: why.
  [[nodiscard]] std::string sentence() const;
  /// After tick() said no: the limit.
  [[nodiscard]] Counter limit_passed() const {
    return wall_is_over_ ? Counter::LimitEventWall : Counter::LimitEventCpu;
  }

 private:
  static constexpr std::chrono::milliseconds kNearTheEnd{6};
  // Since the first tick. Less than what is between two: a thread that is interrupted for a moment still sees it at the
  // second.
  static constexpr std::chrono::microseconds kLong{700};

  std::chrono::nanoseconds cpu_max_;
  std::chrono::milliseconds wall_max_;
  std::int64_t ticks_ = 0;
  bool runs_long_ = false;
  std::int64_t generosity_ = 1;
  std::chrono::nanoseconds cpu_at_first_tick_{};
  std::chrono::nanoseconds cpu_left_{};  ///< As of the last tick but the first.
  SteadyTime first_tick_{};
  bool wall_is_over_ = false;
};

/// Text that a guest writes to standard output or error, cut into lines.
class LineBuffer {
 public:
  explicit LineBuffer(LogLevel level) : level_(level) {}
  void write(std::string_view text, service::Effects& effects);
  /// What is left without a line end becomes a line.
  void flush(service::Effects& effects);

 private:
  LogLevel level_;
  std::string line_;
};

class Ticker;

struct CallState {
  CallState(const ModuleLimits& limits, const service::Seed& room_seed, Ticker& engine_ticker)
      : ticker(engine_ticker), watch(limits), seed(room_seed) {}

  Ticker& ticker;
  GuestMemory memory;
  CallWatch watch;
  service::Effects* effects = nullptr;                 ///< Set during an event.
  const service::ConnectInfo* connect_info = nullptr;  ///< Set during connect, if anything is known.
  service::CallMonitor* monitor = nullptr;             ///< May be null.
  bool in_connect = false;
  std::int64_t time_ms = 0;
  std::uint64_t event_number = 0;
  service::Seed seed;
  std::optional<service::EventRandom> random;  ///< Made when an event first draws.
  /// What a host function or the watch ended the call for; the trap that follows only carries it out.
  service::Outcome failed_with = service::Outcome::Done;
  std::string failed_because;
  std::optional<Counter> failed_limit;  ///< If it was one.
  LineBuffer standard_output{LogLevel::Info};
  LineBuffer standard_error{LogLevel::Warn};
};

}  // namespace jamsocket::wasm
