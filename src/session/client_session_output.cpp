// What a client is sent: messages encoded, once for all who get them in the same form, and queued.

#include <cstring>

#include "base/check.hpp"
#include "session/client_session.hpp"
#include "ws/frame.hpp"

namespace jamsocket::session {
namespace {

ws::Opcode opcode_of(const room::Message& message) {
  return message.kind == room::MessageKind::Text ? ws::Opcode::Text : ws::Opcode::Binary;
}

}  // namespace

void ClientSession::push(room::Message& message) {
  if ((state_ != State::Open && state_ != State::Leaving) || overflowed_) {
    return;
  }
  if (!deflate_) [[likely]] {
    push_slice(message.plain([&] { return encode_plain(message); }));
  } else if (contexts_ != nullptr && contexts_->deflater) {
    push_slice(encode_deflated(message, *contexts_->deflater));
  } else {
    push_slice(
        message.in_form(deflate_->server_window_bits, [&] { return encode_deflated(message, host_.deflater()); }));
  }
}

Slice ClientSession::encode_plain(const room::Message& message) {
  if (message.frame.chunk == nullptr) {
    return encode(message, ws::Compressed::No, message.payload);
  }
  const std::size_t header_bytes =
      ws::encode_frame_header(message.frame.data(), opcode_of(message), message.payload.size(), ws::Compressed::No);
  JAM_CHECK(header_bytes + message.payload.size() == message.frame.size());
  return message.frame;
}

Slice ClientSession::encode(const room::Message& message, ws::Compressed compressed, std::string_view payload) {
  const std::size_t header_bytes = ws::server_header_bytes(payload.size());
  const Slice frame = host_.output().reserve(header_bytes + payload.size());
  ws::encode_frame_header(frame.data(), opcode_of(message), payload.size(), compressed);
  if (!payload.empty()) {
    std::memcpy(frame.data() + header_bytes, payload.data(), payload.size());
  }
  return frame;
}

Slice ClientSession::encode_deflated(room::Message& message, ws::Deflater& deflater) {
  if (message.payload.size() >= ws::kCompressBytesMin) {
    host_.counters().add(Counter::MessagesDeflated);
    if (const auto compressed = deflater.deflate(message.payload, *deflate_)) {
      return encode(message, ws::Compressed::Yes, *compressed);
    }
  }
  return message.plain([&] { return encode_plain(message); });
}

void ClientSession::push_slice(Slice slice) {
  mark_touched();
  const OutboxLimits& limits = host_.session_settings().outbox;
  if (outbox_.push(slice, limits) == Outbox::Push::Queued) [[likely]] {
    return;
  }
  // A burst within one turn may be more than may wait: what counts is what the socket leaves of it.
  // A connection found broken here is found so again, and dropped, at the end of the turn.
  (void)outbox_.flush(stream_, host_.output(), host_.counters());
  overflowed_ = outbox_.push(slice, limits) == Outbox::Push::Full;
}

}  // namespace jamsocket::session
