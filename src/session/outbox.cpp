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
  struct Waiting {
    KeptSlice slice;
    std::size_t messages;
  };
  struct Part {
    Slice slice;
    std::size_t messages;
  };

  std::deque<Waiting> slices;        // Of earlier turns; these go first.
  std::size_t front_sent_bytes = 0;  // Of the first of them.
  std::size_t bytes = 0;             // Of `slices`, not sent.
  std::size_t messages = 0;          // Of `slices`, a partly sent one included.
  std::vector<Part> turn;            // Of this turn, behind `turn_`.
  std::size_t turn_bytes = 0;
  std::size_t turn_messages = 0;
  std::string pong;
  std::size_t counted_bytes = 0;  ///< Of `bytes`, as OutboundBytesWaiting says.

  void keep(OutputArena& arena, Slice slice, std::size_t slice_messages) {
    slices.push_back({arena.keep(slice), slice_messages});
    bytes += slice.size();
    messages += slice_messages;
  }
  void sent(std::size_t sent_bytes) {
    bytes -= sent_bytes;
    front_sent_bytes += sent_bytes;
    while (!slices.empty() && front_sent_bytes >= slices.front().slice.slice().size()) {
      front_sent_bytes -= slices.front().slice.slice().size();
      messages -= slices.front().messages;
      slices.pop_front();
    }
  }
  [[nodiscard]] bool has_nothing() const { return slices.empty() && turn.empty() && pong.empty(); }
};

Outbox::Outbox() = default;
Outbox::~Outbox() = default;

Outbox::Push Outbox::push_apart(Slice message, const OutboxLimits& limits) {
  if (queued_bytes() + message.size() > limits.bytes_max || queued_messages() >= limits.messages_max) {
    return Push::Full;
  }
  push_last(message);
  return Push::Queued;
}

void Outbox::push_last(Slice message) {
  const bool only_one = kept_ == nullptr || kept_->turn.empty();
  if (only_one && join_turn(message)) {
    return;
  }
  Kept& rest = kept();
  rest.turn_bytes += message.size();
  ++rest.turn_messages;
  if (!rest.turn.empty() && rest.turn.back().slice.extend(message)) {
    ++rest.turn.back().messages;
  } else {
    rest.turn.push_back({message, 1});
  }
}

void Outbox::set_pending_pong(std::string frame) { kept().pong = std::move(frame); }

Outbox::Flush Outbox::flush(io::Stream& stream, OutputArena& arena, Counters& counters, Writable writable) {
  if (kept_ == nullptr) [[likely]] {
    if (turn_.chunk == nullptr) {
      return Flush::Drained;
    }
    const io::IoResult result = stream.write(turn_.bytes());
    counters.add(Counter::Sends);
    counters.add(Counter::BytesOut, result.bytes);
    if (result.bytes == turn_.size()) [[likely]] {
      turn_ = {};
      turn_messages_ = 0;
      return Flush::Drained;
    }
    if (result.status == io::IoStatus::Failed) {
      turn_ = {};
      turn_messages_ = 0;
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
  return turn_messages_ + (kept_ != nullptr ? kept_->messages + kept_->turn_messages : 0);
}

Outbox::Kept& Outbox::kept() {
  if (kept_ == nullptr) {
    kept_ = std::make_unique<Kept>();
  }
  return *kept_;
}

void Outbox::keep_turn(OutputArena& arena) {
  Kept& rest = kept();
  if (turn_.chunk != nullptr) {
    rest.keep(arena, std::exchange(turn_, {}), std::exchange(turn_messages_, 0));
  }
  for (const Kept::Part& part : rest.turn) {
    rest.keep(arena, part.slice, part.messages);
  }
  rest.turn.clear();
  rest.turn_bytes = 0;
  rest.turn_messages = 0;
}

Outbox::Flush Outbox::flush_kept(io::Stream& stream, OutputArena& arena, Counters& counters) {
  Kept& rest = *kept_;
  if (!rest.pong.empty()) {
    rest.keep(arena, arena.append(std::exchange(rest.pong, {}), {}), 1);
  }
  while (!rest.slices.empty()) {
    std::array<std::string_view, kPartsPerWrite> parts;
    std::size_t count = 0;
    std::size_t offered_bytes = 0;
    for (const Kept::Waiting& waiting : rest.slices) {
      if (count == parts.size()) {
        break;
      }
      parts[count] = waiting.slice.slice().bytes().substr(count == 0 ? rest.front_sent_bytes : 0);
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
