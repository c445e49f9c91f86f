// service/effects.hpp
//
// What a service call asked for, in order: applied by the room after the call has returned.
//
// One flat list and one byte buffer, both reused from call to call: a call that sends one message
// allocates nothing. What is sent can instead be written straight to where it leaves from (`write_to`).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/counters.hpp"
#include "base/output.hpp"
#include "base/reused_list.hpp"
#include "jamsocket/service.hpp"

namespace jamsocket::service {

enum class EffectKind : std::uint8_t { SendText, SendBinary, SetTimer, Close, Refuse, Log, AcceptSubprotocol };

struct Effect {
  EffectKind kind = EffectKind::SendText;
  LogLevel level = LogLevel::Info;  ///< Log.
  std::uint16_t close_code = 0;     ///< Close.
  Recipient recipient = broadcast;  ///< SendText, SendBinary; Close: its client.
  std::uint32_t delay_ms = 0;       ///< SetTimer; 0 cancels.
  bool timer_at_once = false;       ///< SetTimer: a delay of 0 means at once (Stateroom guests).
  std::size_t offset = 0;           ///< Of the text, payload, reason or name in the byte buffer.
  std::size_t length = 0;
  Slice frame{};  ///< The whole message lies here instead, as it goes on the wire, if there is a chunk.
};

/// See ServerLimits: sends_per_event_max, send_bytes_per_event_max, log_bytes_per_event_max,
/// log_lines_per_event_max.
struct EffectLimits {
  std::size_t sends_max = 10'000;
  std::size_t send_bytes_max = std::size_t{16} << 20U;
  std::size_t log_bytes_max = std::size_t{64} << 10U;
  std::size_t log_lines_max = 1000;
};

class Effects {
 public:
  enum class Push : std::uint8_t {
    Done,
    OverLimit,  ///< Not recorded: the call must fail with its limit named.
    NotUtf8,    ///< Not recorded: the text is not UTF-8; the call must fail.
    Invalid,    ///< Not recorded: a close code or reason that may not go on the wire; the call must fail.
  };

  explicit Effects(const EffectLimits& limits = {}) : limits_(limits) {}

  Push send_text(Recipient recipient, std::string_view text);
  Push send_binary(Recipient recipient, std::string_view bytes);
  void set_timer(std::uint32_t delay_ms);
  void set_timer_at_once();
  Push close(ClientId client, std::uint16_t code, std::string_view reason);
  Push refuse(std::string_view reason);
  /// During `connect`, for a client that offers `name`.
  /// @return whether it is the first: a client has one subprotocol, the first accepted.
  bool accept_subprotocol(std::string_view name);
  /// Beyond the limit the line is dropped, once with a note that lines were dropped.
  void log(LogLevel level, std::string_view text);

  [[nodiscard]] const ReusedList<Effect>& list() const { return list_; }
  [[nodiscard]] std::string_view bytes_of(const Effect& effect) const {
    if (effect.frame.chunk != nullptr) {
      return {effect.frame.data() + effect.frame.size() - effect.length, effect.length};
    }
    return {bytes_.data() + effect.offset, effect.length};
  }

  /// What is sent from here on goes into `arena`, until `clear` or `leave_arena`: for effects that are applied in the
  /// turn and on the thread of the arena. Null: it goes into the byte buffer.
  void write_to(OutputArena* arena) { arena_ = arena; }
  /// Copies what was sent so far out of the arena: the call goes on elsewhere.
  void leave_arena();
  [[nodiscard]] bool empty() const { return list_.empty(); }
  /// Whether `refuse` was called.
  [[nodiscard]] bool refused() const { return refused_; }
  /// What `accept_subprotocol` was called with, if it was.
  [[nodiscard]] std::optional<std::string_view> accepted_subprotocol() const;

  /// All of it, leaving nothing behind.
  [[nodiscard]] Effects take() {
    leave_arena();
    Effects taken(limits_);
    std::swap(taken, *this);
    return taken;
  }
  /// After Push::OverLimit: the limit.
  [[nodiscard]] Counter limit_passed() const {
    return sends_ >= limits_.sends_max ? Counter::LimitSends : Counter::LimitSendBytes;
  }
  /// The limit for which `log` dropped lines, if it did.
  [[nodiscard]] std::optional<Counter> log_limit_passed() const { return log_dropped_; }
  /// What it holds in memory.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() + list_.size() * sizeof(Effect); }
  /// Forgets all; keeps a modest capacity.
  void clear() {
    arena_ = nullptr;
    list_.clear();
    bytes_.clear();
    if (list_.capacity() > kKeptEffects || bytes_.capacity() > kKeptBytes) [[unlikely]] {
      shrink();
    }
    sends_ = 0;
    send_bytes_ = 0;
    log_bytes_ = 0;
    log_lines_ = 0;
    log_dropped_.reset();
    refused_ = false;
    accepted_subprotocol_ = false;
  }

 private:
  Push send(MessageKind kind, Recipient recipient, std::string_view bytes);
  void shrink();
  Effect& add(EffectKind kind, std::string_view bytes);

  static constexpr std::size_t kKeptBytes = std::size_t{64} << 10U;
  static constexpr std::size_t kKeptEffects = 1024;

  EffectLimits limits_;
  OutputArena* arena_ = nullptr;
  ReusedList<Effect> list_;
  std::string bytes_;
  std::size_t sends_ = 0;
  std::size_t send_bytes_ = 0;
  std::size_t log_bytes_ = 0;
  std::size_t log_lines_ = 0;
  std::optional<Counter> log_dropped_;
  bool refused_ = false;
  bool accepted_subprotocol_ = false;
};

}  // namespace jamsocket::service
