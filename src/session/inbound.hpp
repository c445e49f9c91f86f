// session/inbound.hpp
//
// How fast one client may speak. Beyond, it is not read: TCP tells it to wait, nothing it said is lost.
//
// What was read and is over the limit is held here, a few KiB at most. Owned by a ClientSession; thread: its shard's.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "base/token_bucket.hpp"
#include "io/timer_heap.hpp"

namespace jamsocket::session {

/// Of one client; a second's worth may come at once.
struct InboundLimits {
  Rate messages{};  ///< Pings and pongs count as well.
  Rate bytes{};     ///< As they come from the socket.

  [[nodiscard]] bool are_on() const { return messages.is_on() || bytes.is_on(); }
};

class Inbound {
 public:
  /// At most so much is read at once, so that little is held; more where TLS needs room for its records.
  static constexpr std::size_t kReadBytesMax = std::size_t{16} << 10U;

  /// @param go_on  called when the client may speak again.
  Inbound(const InboundLimits& limits, std::move_only_function<void()> go_on)
      : limits_(limits),
        message_time_(limits.messages.is_on() ? TokenBucket::time_of(1, limits.messages) : std::chrono::nanoseconds{0}),
        timer_(std::move(go_on)) {}

  void spend_bytes(std::size_t bytes, SteadyTime now) {
    if (limits_.bytes.is_on()) {
      bytes_.spend(bytes, limits_.bytes, now);
    }
  }
  void spend_message(SteadyTime now) {
    if (limits_.messages.is_on()) {
      messages_.spend(message_time_, now);
    }
  }
  /// Which limit it is over; nullopt: none.
  [[nodiscard]] std::optional<Counter> over_limit(SteadyTime now) const {
    if (message_debt(now).count() > 0) {
      return Counter::LimitClientMessages;
    }
    return byte_debt(now).count() > 0 ? std::optional(Counter::LimitClientBytes) : std::nullopt;
  }
  /// Keeps `rest` and waits until it is over no limit.
  void hold(std::span<const char> rest, SteadyTime now, io::TimerHeap& timers) {
    held_.assign(rest.data(), rest.size());
    waiting_ = true;
    timers.schedule(timer_.node(), now + std::max(message_debt(now), byte_debt(now)));
  }
  [[nodiscard]] bool is_waiting() const { return waiting_; }
  /// Ends the wait.
  [[nodiscard]] std::string take_held() {
    waiting_ = false;
    return std::exchange(held_, {});
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds message_debt(SteadyTime now) const {
    return limits_.messages.is_on() ? messages_.debt(limits_.messages, now) : std::chrono::nanoseconds{0};
  }
  [[nodiscard]] std::chrono::nanoseconds byte_debt(SteadyTime now) const {
    return limits_.bytes.is_on() ? bytes_.debt(limits_.bytes, now) : std::chrono::nanoseconds{0};
  }

  InboundLimits limits_;
  std::chrono::nanoseconds message_time_;  ///< What one costs of a rate.
  TokenBucket messages_;
  TokenBucket bytes_;
  std::string held_;
  io::CallbackTimer timer_;
  bool waiting_ = false;
};

}  // namespace jamsocket::session
