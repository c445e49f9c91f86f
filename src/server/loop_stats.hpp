// server/loop_stats.hpp
//
// How a shard's loop does: how long its turns take, and what it holds. Written by the loop at the end of each turn,
// read from any thread.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace jamsocket::server {

class LoopStats {
 public:
  /// Turns by length: bucket i holds those shorter than 2^i microseconds, the last one the rest.
  static constexpr std::size_t kBuckets = 22;

  struct Turn {
    std::chrono::nanoseconds busy_for{};
    std::size_t connections = 0;
    std::size_t clients = 0;
    std::size_t rooms = 0;
    std::size_t rooms_runnable = 0;
    std::size_t calls_slow = 0;
  };

  void turn_ended(const Turn& turn) {
    const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(turn.busy_for.count(), 0));
    add(buckets_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(ns / 1000)), kBuckets - 1)], 1);
    add(busy_ns_, ns);
    set(connections_, turn.connections);
    set(clients_, turn.clients);
    set(rooms_, turn.rooms);
    set(rooms_runnable_, turn.rooms_runnable);
    set(calls_slow_, turn.calls_slow);
  }

  [[nodiscard]] std::uint64_t bucket(std::size_t index) const { return get(buckets_[index]); }
  [[nodiscard]] std::uint64_t busy_ns() const { return get(busy_ns_); }
  [[nodiscard]] std::uint64_t connections() const { return get(connections_); }
  [[nodiscard]] std::uint64_t clients() const { return get(clients_); }
  [[nodiscard]] std::uint64_t rooms() const { return get(rooms_); }
  [[nodiscard]] std::uint64_t rooms_runnable() const { return get(rooms_runnable_); }
  [[nodiscard]] std::uint64_t calls_slow() const { return get(calls_slow_); }

 private:
  using Value = std::atomic<std::uint64_t>;

  // One writer: no locked operation.
  static void set(Value& value, std::uint64_t to) { value.store(to, std::memory_order_relaxed); }
  static std::uint64_t get(const Value& value) { return value.load(std::memory_order_relaxed); }
  static void add(Value& value, std::uint64_t by) { set(value, get(value) + by); }

  std::array<Value, kBuckets> buckets_{};
  Value busy_ns_{0};
  Value connections_{0};
  Value clients_{0};
  Value rooms_{0};
  Value rooms_runnable_{0};
  Value calls_slow_{0};
};

}  // namespace jamsocket::server
