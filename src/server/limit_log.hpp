// server/limit_log.hpp
//
// Says that a limit was hit, or a peer refused: of each kind at most once a second, by all shards together.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "base/log.hpp"

namespace jamsocket::server {

/// Thread-safe, without locks.
class LimitLog {
 public:
  explicit LimitLog(Logger& logger) : logger_(logger) {}

  /// "limit.hit", with the limit's name. @param who  the address; empty: not of one address.
  void hit(Counter limit, std::string_view who, SteadyTime now) {
    say(limit, "limit.hit", now, {{"limit", limit_of(limit)}, {"address", who}});
  }
  /// A line of that name with `fields`, and how many times it would have been said since the last.
  void say(Counter kind, std::string_view event, SteadyTime now, std::initializer_list<LogField> fields) {
    Gate& gate = gates_[static_cast<std::size_t>(kind)];
    std::int64_t next = gate.next_ns.load(std::memory_order_relaxed);
    const std::int64_t now_ns = now.time_since_epoch().count();
    if (now_ns < next ||
        !gate.next_ns.compare_exchange_strong(next, now_ns + kPause.count(), std::memory_order_relaxed)) {
      gate.unsaid.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    std::vector<LogField> all(fields);
    all.emplace_back("times", gate.unsaid.exchange(0, std::memory_order_relaxed) + 1);
    if (logger_.enabled(LogLevel::Warn)) {
      logger_.write(LogLevel::Warn, event, all);
    }
  }

 private:
  static constexpr std::chrono::nanoseconds kPause = std::chrono::seconds{1};

  struct Gate {
    std::atomic<std::int64_t> next_ns{0};
    std::atomic<std::uint64_t> unsaid{0};
  };

  Logger& logger_;
  std::array<Gate, static_cast<std::size_t>(Counter::Count_)> gates_;
};

}  // namespace jamsocket::server
