#include "session/outbox.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::session {
namespace {
constexpr std::size_t kPartsPerWrite = 64;
}  // namespace

struct Outbox::Kept {
  std::deque<io::KeptSlice> slices;  // Of earlier turns; these go first.
  std::size_t front_sent_bytes = 0;  // Of the first of them.
  std::size_t bytes = 0;             // Of `slices`, not sent.
  std::size_t messages = 0;          // Of `slices`, a partly sent one included.
  std::vector<io::Slice> turn;       // Of this turn, behind `turn_`.
  std::size_t turn_bytes = 0;
  std::size_t turn_messages = 0;
  std::string pong;
  std::size_t counted_bytes = 0;  ///< Of `bytes`, as OutboundBytesWaiting says.

  void sent(std::size_t sent_bytes) {
    bytes -= sent_bytes;
    front_sent_bytes += sent_bytes;
    while (!slices.empty() && front_sent_bytes >= slices.front().slice().size()) {
      front_sent_bytes -= slices.front().slice().size();
      messages -= slices.front().slice().messages;
      slices.pop_front();
    }
  }
  [[nodiscard]] bool has_nothing() const { return slices.empty() && turn.empty() && pong.empty(); }
};

Outbox::Outbox() = default;
Outbox::~Outbox() = default;

Outbox::Push Outbox::push(const io::Slice& slice, const OutboxLimits& limits) {
  if (turn_.chunk == nullptr && kept_ == nullptr) {
    turn_ = slice;
    return Push::Queued;
  }
  if (queued_bytes() + slice.size() > limits.bytes_max || queued_messages() + slice.messages > limits.messages_max) {
    return Push::Full;
  }
  push_last(slice);
  return Push::Queued;
}

void Outbox::push_last(const io::Slice& slice) {
  if (turn_.chunk == nullptr) {
    turn_ = slice;
    return;
  }
  const bool only_one = kept_ == nullptr || kept_->turn.empty();
  if (only_one && turn_.extend(slice)) {
    return;
  }
  Kept& rest = kept();
  rest.turn_bytes += slice.size();
  rest.turn_messages += slice.messages;
  if (rest.turn.empty() || !rest.turn.back().extend(slice)) {
    rest.turn.push_back(slice);
  }
}

void Outbox::set_pending_pong(std::string frame) { kept().pong = std::move(frame); }

Outbox::Flush Outbox::flush(io::Stream& stream, io::OutputArena& arena, Counters& counters, Writable writable) {
  if (kept_ == nullptr) [[likely]] {
    if (turn_.chunk == nullptr) {
      return Flush::Drained;
    }
    const io::IoResult result = stream.write(turn_.bytes());
    counters.add(Counter::Sends);
    counters.add(Counter::BytesOut, result.bytes);
    if (result.bytes == turn_.size()) [[likely]] {
      turn_ = {};
      return Flush::Drained;
    }
    if (result.status == io::IoStatus::Failed) {
      turn_ = {};
      return Flush::Failed;
    }
    keep_turn(arena);
    kept_->sent(result.bytes);
    count_waiting(counters);
    return Flush::Blocked;
  }
  const bool was_blocked = !kept_->slices.empty();
  keep_turn(arena);
  const Flush flushed =
      was_blocked && writable == Writable::Unknown ? Flush::Blocked : flush_kept(stream, arena, counters);
  count_waiting(counters);
  if (flushed == Flush::Drained) {
    kept_.reset();
  }
  return flushed;
}

void Outbox::count_waiting(Counters& counters) {
  counters.add(Counter::OutboundBytesWaiting, kept_->bytes - kept_->counted_bytes);
  kept_->counted_bytes = kept_->bytes;
}

std::size_t Outbox::counted_bytes() const { return kept_ != nullptr ? kept_->counted_bytes : 0; }

bool Outbox::is_blocked() const { return kept_ != nullptr && !kept_->slices.empty(); }

std::size_t Outbox::queued_bytes() const {
  return (turn_.chunk != nullptr ? turn_.size() : 0) + (kept_ != nullptr ? kept_->bytes + kept_->turn_bytes : 0);
}

std::size_t Outbox::queued_messages() const {
  return turn_.messages + (kept_ != nullptr ? kept_->messages + kept_->turn_messages : 0);
}

Outbox::Kept& Outbox::kept() {
  if (kept_ == nullptr) {
    kept_ = std::make_unique<Kept>();
  }
  return *kept_;
}

void Outbox::keep_turn(io::OutputArena& arena) {
  Kept& rest = kept();
  const auto keep = [&](const io::Slice& slice) {
    rest.slices.push_back(arena.keep(slice));
    rest.bytes += slice.size();
    rest.messages += slice.messages;
  };
  if (turn_.chunk != nullptr) {
    keep(std::exchange(turn_, {}));
  }
  for (const io::Slice& slice : rest.turn) {
    keep(slice);
  }
  rest.turn.clear();
  rest.turn_bytes = 0;
  rest.turn_messages = 0;
}

Outbox::Flush Outbox::flush_kept(io::Stream& stream, io::OutputArena& arena, Counters& counters) {
  Kept& rest = *kept_;
  if (!rest.pong.empty()) {
    const io::Slice pong = arena.append(std::exchange(rest.pong, {}), {});
    rest.slices.push_back(arena.keep(pong));
    rest.bytes += pong.size();
    rest.messages += 1;
  }
  while (!rest.slices.empty()) {
    std::array<std::string_view, kPartsPerWrite> parts;
    std::size_t count = 0;
    std::size_t offered_bytes = 0;
    for (const io::KeptSlice& slice : rest.slices) {
      if (count == parts.size()) {
        break;
      }
      parts[count] = slice.slice().bytes().substr(count == 0 ? rest.front_sent_bytes : 0);
      offered_bytes += parts[count].size();
      ++count;
    }
    const io::IoResult result = stream.write(std::span(parts).first(count));
    counters.add(Counter::Sends);
    counters.add(Counter::BytesOut, result.bytes);
    if (result.status == io::IoStatus::Failed) {
      return Flush::Failed;
    }
    rest.sent(result.bytes);
    if (result.bytes < offered_bytes) {
      return Flush::Blocked;
    }
  }
  return Flush::Drained;
}

}  // namespace jamsocket::session
