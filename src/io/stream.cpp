#include "io/stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "io/tls_session.hpp"

namespace jamsocket::io {
namespace {

// So many records go out with one call: the kernel takes much at once, and the stack has room for it.
constexpr std::size_t kRecordsPerWrite = 4;

// Goes through parts as if they were one text, a record's worth at a time.
class Gatherer {
 public:
  explicit Gatherer(std::span<const std::string_view> parts) : parts_(parts) {}

  void skip(std::size_t bytes) {
    while (bytes > 0) {
      JAM_CHECK(!parts_.empty());
      const std::size_t passed = std::min(bytes, parts_.front().size() - at_);
      advance(passed);
      bytes -= passed;
      drop_empty();
    }
  }
  // The next bytes, at most a record's; `room` is used if they lie in several parts. Empty: there are none.
  std::string_view next(std::span<char, kTlsPlainBytesMax> room) {
    drop_empty();
    if (parts_.empty()) {
      return {};
    }
    const std::string_view front = parts_.front().substr(at_);
    if (front.size() >= room.size() || parts_.size() == 1) {
      const std::string_view record = front.substr(0, room.size());
      advance(record.size());
      return record;
    }
    std::size_t used = 0;
    while (used < room.size() && !parts_.empty()) {
      const std::string_view piece = parts_.front().substr(at_, room.size() - used);
      std::memcpy(room.data() + used, piece.data(), piece.size());
      used += piece.size();
      advance(piece.size());
      drop_empty();
    }
    return {room.data(), used};
  }

 private:
  void advance(std::size_t bytes) { at_ += bytes; }
  void drop_empty() {
    while (!parts_.empty() && at_ == parts_.front().size()) {
      parts_ = parts_.subspan(1);
      at_ = 0;
    }
  }

  std::span<const std::string_view> parts_;
  std::size_t at_ = 0;  // Of the first part.
};

}  // namespace

// What the socket did not take stays encrypted, and its owner keeps the plain bytes too: they count as written when
// the last of their records has gone, so that an owner that waits until it can write need know nothing of records.
struct Stream::Tls {
  Tls(std::shared_ptr<const TlsContext> context, const TlsLimits& limits) : session(std::move(context), limits) {}

  TlsSession session;
  std::string unsent;
  std::size_t unsent_plain_bytes = 0;  // That lie encrypted in `unsent`, and will be offered again.
  bool has_ended = false;
};

Stream::Stream() = default;
Stream::Stream(Socket socket) : socket_(std::move(socket)) {}
Stream::Stream(Socket socket, std::shared_ptr<const TlsContext> tls, const TlsLimits& limits)
    : socket_(std::move(socket)), tls_(std::make_unique<Tls>(std::move(tls), limits)) {}
Stream::Stream(Stream&& other) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept = default;
Stream::~Stream() = default;

bool Stream::tls_has_ended() const { return tls_->has_ended; }
std::size_t Stream::read_bytes_min() const { return tls_ == nullptr ? 1 : kTlsReadBytesMin; }

bool Stream::tls_asked_too_often() const { return tls_->session.asked_too_often(); }

IoResult Stream::read_tls(std::span<char> into) {
  JAM_CHECK(into.size() >= kTlsReadBytesMin);
  // Decrypted in place: plain bytes fall behind those of the wire that they are made of, but for what was received
  // before of the first record.
  const std::span<char> wire = into.subspan(kTlsRecordBytesMax);
  const IoResult got = socket_.read(wire);
  if (got.status != IoStatus::Done) {
    return got;
  }
  const TlsSession::Received received = tls_->session.receive(wire.first(got.bytes), into);
  if (tls_->session.has_outgoing()) [[unlikely]] {
    send_outgoing();
  }
  if (received.status == TlsSession::Status::Failed) {
    return {.status = IoStatus::Failed, .bytes = 0};
  }
  tls_->has_ended = received.status == TlsSession::Status::Ended;
  if (received.plain_bytes == 0) {
    return {.status = tls_->has_ended ? IoStatus::Closed : IoStatus::WouldBlock, .bytes = 0};
  }
  return {.status = IoStatus::Done, .bytes = received.plain_bytes};
}

IoResult Stream::write_tls(std::span<const std::string_view> parts) {
  const std::size_t skipped = tls_->unsent_plain_bytes;
  if (!tls_->unsent.empty()) {
    if (const IoStatus sent = send_unsent(); sent != IoStatus::Done) {
      return {.status = sent, .bytes = 0};
    }
    tls_->unsent_plain_bytes = 0;
  }
  Gatherer gatherer(parts);
  gatherer.skip(skipped);
  IoResult total{.status = IoStatus::Done, .bytes = skipped};
  std::array<char, kTlsPlainBytesMax> gathered;
  std::array<char, kRecordsPerWrite * kTlsRecordBytesMax> wire;
  for (;;) {
    std::size_t wire_bytes = 0;
    std::size_t plain_bytes = 0;
    while (wire_bytes + kTlsRecordBytesMax <= wire.size()) {
      const std::string_view record = gatherer.next(gathered);
      if (record.empty()) {
        break;
      }
      const std::size_t made = tls_->session.encrypt(record, std::span(wire).subspan(wire_bytes));
      if (made == 0) {
        return {.status = IoStatus::Failed, .bytes = total.bytes};
      }
      wire_bytes += made;
      plain_bytes += record.size();
    }
    if (wire_bytes == 0) {
      return total;
    }
    const IoResult sent = socket_.write(std::string_view(wire.data(), wire_bytes));
    if (sent.status == IoStatus::Failed) {
      return {.status = IoStatus::Failed, .bytes = total.bytes};
    }
    if (sent.bytes < wire_bytes) {
      tls_->unsent.assign(wire.data() + sent.bytes, wire_bytes - sent.bytes);
      tls_->unsent_plain_bytes = plain_bytes;
      return {.status = IoStatus::WouldBlock, .bytes = total.bytes};
    }
    total.bytes += plain_bytes;
  }
}

// Done: nothing is left.
IoStatus Stream::send_unsent() {
  std::string& unsent = tls_->unsent;
  const IoResult sent = socket_.write(unsent);
  if (sent.status == IoStatus::Failed) {
    return IoStatus::Failed;
  }
  if (sent.bytes < unsent.size()) {
    unsent.erase(0, sent.bytes);
    return IoStatus::WouldBlock;
  }
  unsent = std::string();  // Not `{}`, which keeps the memory.
  return IoStatus::Done;
}

// Behind what is unsent. A socket that is broken is found so by whoever reads or writes next.
void Stream::send_outgoing() {
  tls_->unsent += tls_->session.take_outgoing();
  if (!tls_->unsent.empty() && tls_->unsent_plain_bytes == 0) {
    (void)send_unsent();
  }
}

void Stream::shut_down_writing() {
  if (tls_ != nullptr) {
    tls_->session.say_end();
    send_outgoing();  // As far as it goes: its owner has nothing more to write, and would not wait for it.
  }
  socket_.shut_down_writing();
}

void Stream::close() {
  if (tls_ != nullptr && socket_.is_open()) {
    tls_->session.say_end();
    send_outgoing();
  }
  socket_.close();
}

void Stream::reset() {
  socket_.reset_on_close();
  socket_.close();
}

Stream::HandshakeStep Stream::handshake(std::span<char> into) {
  JAM_CHECK(tls_ != nullptr && into.size() >= kTlsReadBytesMin);
  TlsSession& session = tls_->session;
  HandshakeStep step;
  if (!session.is_established()) {
    const std::span<char> wire = into.subspan(kTlsRecordBytesMax);
    const IoResult got = socket_.read(wire);
    if (got.status == IoStatus::Closed || got.status == IoStatus::Failed) {
      return {.state = Handshake::Failed, .bytes = 0, .reason = "the peer left"};
    }
    if (got.status == IoStatus::Done) {
      const TlsSession::Received received = session.receive(wire.first(got.bytes), into);
      tls_->has_ended = received.status == TlsSession::Status::Ended;
      tls_->unsent += session.take_outgoing();
      step.bytes = received.plain_bytes;
      if (received.status == TlsSession::Status::Failed) {
        (void)send_unsent();
        return {.state = session.met_plain_http() ? Handshake::FailedByHttp : Handshake::Failed,
                .bytes = 0,
                .reason = session.failure()};
      }
    }
  }
  if (!tls_->unsent.empty()) {
    const IoStatus sent = send_unsent();
    if (sent == IoStatus::Failed) {
      return {.state = Handshake::Failed, .bytes = 0, .reason = "the peer left"};
    }
    if (sent == IoStatus::WouldBlock) {
      step.state = Handshake::WantsToWrite;
      return step;
    }
  }
  step.state = session.is_established() ? Handshake::Done : Handshake::WantsToRead;
  return step;
}

}  // namespace jamsocket::io
