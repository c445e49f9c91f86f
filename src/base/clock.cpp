#include "base/clock.hpp"

#include <ctime>

namespace jamsocket {

SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

// steady_clock is CLOCK_MONOTONIC; this is the same at the kernel's last tick.
SteadyTime SystemClock::coarse() const {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return SteadyTime{std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

std::int64_t SystemClock::unix_ms() const {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::chrono::nanoseconds thread_cpu_time() {
  std::timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

SteadyTime ManualClock::steady() const {
  // Not the epoch: code that treats a zero time point as "never" must not be fooled.
  return SteadyTime{std::chrono::hours{1}} + Milliseconds{elapsed_ms_.load()};
}

std::int64_t ManualClock::unix_ms() const { return start_unix_ms_ + elapsed_ms_.load(); }

}  // namespace jamsocket
