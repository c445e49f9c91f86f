// What a client is sent: messages encoded, once for all who get them in the same form, and queued.

#include "session/client_session.hpp"
#include "ws/frame.hpp"

namespace jamsocket::session {

void ClientSession::push(room::Message& message) {
  if ((state_ != State::Open && state_ != State::Leaving) || overflowed_) [[unlikely]] {
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
  return ws::append_frame(host_.output(), message.kind, message.payload);
}

Slice ClientSession::encode_deflated(room::Message& message, ws::Deflater& deflater) {
  if (message.payload.size() >= ws::kCompressBytesMin) {
    host_.counters().add(Counter::MessagesDeflated);
    if (const auto compressed = deflater.deflate(message.payload, *deflate_)) {
      return ws::append_frame(host_.output(), message.kind, *compressed, ws::Compressed::Yes);
    }
  }
  return message.plain([&] { return encode_plain(message); });
}

void ClientSession::push_slice(Slice slice) {
  if (outbox_.push(slice, host_.session_settings().outbox) == Outbox::Push::Full) [[unlikely]] {
    flush_and_push(slice);
  }
  mark_touched();
}

void ClientSession::flush_and_push(Slice slice) {
  // A burst within one turn may be more than may wait: what counts is what the socket leaves of it.
  // A connection found broken here is found so again, and dropped, at the end of the turn.
  (void)outbox_.flush(stream_, host_.output(), host_.counters());
  overflowed_ = outbox_.push(slice, host_.session_settings().outbox) == Outbox::Push::Full;
}

}  // namespace jamsocket::session
