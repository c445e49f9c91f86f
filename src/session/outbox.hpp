// session/outbox.hpp
//
// What waits for one client's socket, and when that is too much.
//
// Within a turn it remembers slices of the shard's arena, usually one. What the socket would not
// take at the end of the turn is kept by reference to shared bytes and goes first the next time.
//
// Owned by a ClientSession; thread: the shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.hpp"
#include "base/output.hpp"
#include "io/stream.hpp"

namespace jamsocket::session {

/// Frame headers are counted. One message alone may be larger: it goes out if nothing else waits.
struct OutboxLimits {
  std::size_t bytes_max = std::size_t{1} << 20U;
  std::uint32_t messages_max = 1024;
};

class Outbox {
 public:
  enum class Push : std::uint8_t { Queued, Full };
  enum class Flush : std::uint8_t {
    Drained,
    Blocked,  ///< The socket takes no more: flush again when it is writable.
    Failed,   ///< The connection is broken.
  };
  /// Whether the socket may take bytes although it did not the last time.
  enum class Writable : std::uint8_t { Unknown, Yes };

  Outbox();
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  /// Queues a message. Full: not queued, because something waits and this would be too much.
  Push push(Slice message, const OutboxLimits& limits) {
    // Nearly every message: nothing waits, and it lies right behind the one before.
    const bool is_within = turn_.chunk == nullptr ||
                           (turn_.size() + message.size() <= limits.bytes_max && turn_messages_ < limits.messages_max);
    if (kept_ == nullptr && is_within && join_turn(message)) [[likely]] {
      return Push::Queued;
    }
    return push_apart(message, limits);
  }
  /// Queues without looking at the limits, for the last frame of a connection.
  void push_last(Slice message);
  /// Sends this pong as soon as the socket takes it; a later one replaces it. For a blocked outbox.
  void set_pending_pong(std::string frame);

  /// Writes what is queued, and keeps the rest. Must be called before the turn ends if anything was pushed.
  Flush flush(io::Stream& stream, OutputArena& arena, Counters& counters, Writable writable = Writable::Unknown);

  [[nodiscard]] bool empty() const { return turn_.chunk == nullptr && kept_ == nullptr; }
  /// The last flush left something.
  [[nodiscard]] bool is_blocked() const;
  [[nodiscard]] std::size_t queued_bytes() const;
  [[nodiscard]] std::size_t queued_messages() const;
  /// What was counted as Counter::OutboundBytesWaiting and not yet taken off: for whoever destroys it.
  [[nodiscard]] std::size_t counted_bytes() const;

 private:
  struct Kept;

  Push push_apart(Slice message, const OutboxLimits& limits);
  /// Makes it the turn's first slice, or that one longer. @return whether either could be.
  bool join_turn(Slice message) {
    if (turn_.chunk == nullptr) {
      turn_ = message;
    } else if (!turn_.extend(message)) {
      return false;
    }
    ++turn_messages_;
    return true;
  }
  Kept& kept();
  void count_waiting(Counters& counters);
  void keep_turn(OutputArena& arena);
  Flush flush_kept(io::Stream& stream, OutputArena& arena, Counters& counters);

  Slice turn_;  ///< The first messages of this turn, side by side.
  std::uint32_t turn_messages_ = 0;
  std::unique_ptr<Kept> kept_;  ///< Whatever one slice cannot say.
};

}  // namespace jamsocket::session
