// base/token_bucket.hpp
//
// A rate: so much in a period, with one period's worth at once.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/clock.hpp"

namespace jamsocket {

/// What it may be asked for: 0 is no limit, and then it must not be asked.
struct Rate {
  std::uint64_t amount_max = 0;
  std::chrono::milliseconds period{1'000};

  [[nodiscard]] bool is_on() const { return amount_max != 0; }
};

/// One moment is all it keeps: when all that was taken will have been earned.
class TokenBucket {
 public:
  /// Takes `amount` if so much is left. Else nothing is taken.
  [[nodiscard]] bool take(std::uint64_t amount, const Rate& rate, SteadyTime now) {
    const SteadyTime after = std::max(earned_, now) + time_of(amount, rate);
    if (after > now + rate.period) {
      return false;
    }
    earned_ = after;
    return true;
  }
  /// Takes `amount` that has come already, into debt if need be.
  void spend(std::uint64_t amount, const Rate& rate, SteadyTime now) { spend(time_of(amount, rate), now); }
  /// The same, for one who asks so often that a division counts: `time` is what `time_of` said.
  void spend(std::chrono::nanoseconds time, SteadyTime now) { earned_ = std::max(earned_, now) + time; }
  /// How long until there is no debt; 0: there is none.
  [[nodiscard]] std::chrono::nanoseconds debt(const Rate& rate, SteadyTime now) const {
    return std::max<std::chrono::nanoseconds>(earned_ - now - rate.period, std::chrono::nanoseconds{0});
  }
  /// Whether it is as if nothing had ever been taken.
  [[nodiscard]] bool is_full(SteadyTime now) const { return earned_ <= now; }

  /// How long it takes to earn so much.
  [[nodiscard]] static std::chrono::nanoseconds time_of(std::uint64_t amount, const Rate& rate) {
    const double share = static_cast<double>(amount) / static_cast<double>(rate.amount_max);
    return std::chrono::nanoseconds(static_cast<std::int64_t>(share * static_cast<double>(rate.period.count()) * 1e6));
  }

 private:
  SteadyTime earned_{};
};

}  // namespace jamsocket
