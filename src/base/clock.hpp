// base/clock.hpp
//
// Time as a dependency: everything that waits or stamps asks a Clock, so that tests can turn it.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace jamsocket {

using Milliseconds = std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  /// Never goes back; for timeouts.
  [[nodiscard]] virtual SteadyTime steady() const = 0;
  /// The same, a few milliseconds behind and a fraction of the cost: for what is asked at every event.
  [[nodiscard]] virtual SteadyTime coarse() const { return steady(); }
  /// Milliseconds since 1970-01-01 UTC; may jump when the machine's clock is set.
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady() const override;
  [[nodiscard]] SteadyTime coarse() const override;
  [[nodiscard]] std::int64_t unix_ms() const override;
};

/// The CPU time that the calling thread has used; for budgets that a busy machine must not cut short.
[[nodiscard]] std::chrono::nanoseconds thread_cpu_time();

/// Stands still until a test moves it. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t unix_ms = 1'700'000'000'000) : start_unix_ms_(unix_ms) {}
  [[nodiscard]] SteadyTime steady() const override;
  [[nodiscard]] std::int64_t unix_ms() const override;
  void advance(Milliseconds by) { elapsed_ms_.fetch_add(by.count()); }

 private:
  std::int64_t start_unix_ms_;
  std::atomic<std::int64_t> elapsed_ms_{0};
};

}  // namespace jamsocket
