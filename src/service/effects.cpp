#include "service/effects.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace jamsocket::service {
namespace {

constexpr std::size_t kCloseReasonBytesMax = 123;  // RFC 6455 section 5.5: control payload 125, less the code.
constexpr std::size_t kRefusalBytesMax = 1024;

bool may_close_with(std::uint16_t code) { return code == 1000 || (code >= 3000 && code <= 4999); }

}  // namespace

Effects::Push Effects::send_text(Recipient recipient, std::string_view text) {
  return is_utf8(text) ? send(MessageKind::Text, recipient, text) : Push::NotUtf8;
}

Effects::Push Effects::send_binary(Recipient recipient, std::string_view bytes) {
  return send(MessageKind::Binary, recipient, bytes);
}

Effects::Push Effects::send(MessageKind kind, Recipient recipient, std::string_view bytes) {
  if (sends_ >= limits_.sends_max || bytes.size() > limits_.send_bytes_max - send_bytes_) [[unlikely]] {
    return Push::OverLimit;
  }
  ++sends_;
  send_bytes_ += bytes.size();
  const EffectKind effect = kind == MessageKind::Text ? EffectKind::SendText : EffectKind::SendBinary;
  if (arena_ == nullptr) {
    add(effect, bytes).recipient = recipient;
    return Push::Done;
  }
  const Slice frame = arena_->append_message(kind, bytes);
  list_.push_back({.kind = effect, .recipient = recipient, .length = bytes.size(), .frame = frame});
  return Push::Done;
}

void Effects::leave_arena() {
  arena_ = nullptr;
  for (Effect& effect : list_) {
    if (effect.frame.chunk != nullptr) {
      const std::size_t offset = bytes_.size();
      bytes_.append(bytes_of(effect));
      effect.offset = offset;
      effect.frame = {};
    }
  }
}

void Effects::set_timer(std::uint32_t delay_ms) { add(EffectKind::SetTimer, {}).delay_ms = delay_ms; }

void Effects::set_timer_at_once() { add(EffectKind::SetTimer, {}).timer_at_once = true; }

Effects::Push Effects::close(ClientId client, std::uint16_t code, std::string_view reason) {
  if (!may_close_with(code) || reason.size() > kCloseReasonBytesMax) {
    return Push::Invalid;
  }
  if (!is_utf8(reason)) {
    return Push::NotUtf8;
  }
  if (sends_ >= limits_.sends_max) {
    return Push::OverLimit;
  }
  ++sends_;
  Effect& effect = add(EffectKind::Close, reason);
  effect.recipient = client;
  effect.close_code = code;
  return Push::Done;
}

Effects::Push Effects::refuse(std::string_view reason) {
  if (reason.size() > kRefusalBytesMax) {
    return Push::Invalid;
  }
  if (!is_utf8(reason)) {
    return Push::NotUtf8;
  }
  if (!refused_) {
    add(EffectKind::Refuse, reason);
    refused_ = true;
  }
  return Push::Done;
}

bool Effects::accept_subprotocol(std::string_view name) {
  if (accepted_subprotocol_) {
    return false;
  }
  accepted_subprotocol_ = true;
  add(EffectKind::AcceptSubprotocol, name);
  return true;
}

std::optional<std::string_view> Effects::accepted_subprotocol() const {
  if (!accepted_subprotocol_) {
    return std::nullopt;
  }
  return bytes_of(*std::ranges::find(list_, EffectKind::AcceptSubprotocol, &Effect::kind));
}

void Effects::log(LogLevel level, std::string_view text) {
  // Each line costs a byte more than its text.
  if (text.size() >= limits_.log_bytes_max - log_bytes_ || log_lines_ >= limits_.log_lines_max) {
    if (!log_dropped_) {
      log_dropped_ = log_lines_ >= limits_.log_lines_max ? Counter::LimitLogLines : Counter::LimitLogBytes;
      add(EffectKind::Log, "further log lines of this event were dropped: over the limit").level = LogLevel::Warn;
    }
    return;
  }
  log_bytes_ += text.size() + 1;
  ++log_lines_;
  add(EffectKind::Log, text).level = level;
}

void Effects::shrink() {
  list_.shrink_to_fit();
  bytes_.shrink_to_fit();
}

Effect& Effects::add(EffectKind kind, std::string_view bytes) {
  Effect& effect = list_.push_back({.kind = kind, .offset = bytes_.size(), .length = bytes.size()});
  bytes_.append(bytes);
  return effect;
}

}  // namespace jamsocket::service
