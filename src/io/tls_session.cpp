#include "io/tls_session.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::io {

BIO_METHOD* TlsSession::make_wire() {
  BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "wire");
  if (method != nullptr) {
    BIO_meth_set_read(method, read_wire);
    BIO_meth_set_write(method, write_wire);
    BIO_meth_set_ctrl(method, control_wire);
  }
  return method;
}

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, const TlsLimits& limits)
    : context_(std::move(context)), ssl_(SSL_new(context_->openssl())), limits_(limits) {
  BIO* wire = BIO_new(context_->wire());
  JAM_CHECK(ssl_ != nullptr && wire != nullptr);
  BIO_set_data(wire, this);
  BIO_set_init(wire, 1);
  SSL_set_bio(ssl_.get(), wire, wire);
  JAM_CHECK(SSL_set_ex_data(ssl_.get(), 0, this) == 1);
  SSL_set_info_callback(ssl_.get(), note_message);
  SSL_set_accept_state(ssl_.get());
}

TlsSession::~TlsSession() = default;

int TlsSession::read_wire(BIO* bio, char* to, int bytes) {
  auto& self = *static_cast<TlsSession*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t taken = std::min(self.incoming_.size(), static_cast<std::size_t>(bytes));
  if (taken == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(to, self.incoming_.data(), taken);
  self.incoming_.remove_prefix(taken);
  return static_cast<int>(taken);
}

int TlsSession::write_wire(BIO* bio, const char* from, int bytes) {
  auto& self = *static_cast<TlsSession*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::string_view written(from, static_cast<std::size_t>(bytes));
  if (written.size() <= self.room_.size() - self.room_used_ && self.outgoing_.empty()) {
    std::memcpy(self.room_.data() + self.room_used_, written.data(), written.size());
    self.room_used_ += written.size();
  } else {
    self.outgoing_ += written;
  }
  return bytes;
}

long TlsSession::control_wire(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

// Each message of the handshake protocol is announced here once in its own state. After the handshake they are a
// client's key updates (TLS 1.3), dearer than records, and its wishes for another handshake (TLS 1.2).
void TlsSession::note_message(const SSL* ssl, int where, int) {
  auto& self = *static_cast<TlsSession*>(SSL_get_ex_data(ssl, 0));
  if (where != SSL_CB_ACCEPT_LOOP || !self.established_) {
    return;
  }
  const OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
  const bool is_asked = state == TLS_ST_SR_KEY_UPDATE || state == TLS_ST_SR_CLNT_HELLO;
  if (is_asked && ++self.asked_changes_ > self.limits_.asked_changes_max) {
    self.incoming_ = {};
    self.broken_ = true;
    self.failure_ = "too many key updates or renegotiations";
  }
}

TlsSession::Received TlsSession::receive(std::span<const char> wire, std::span<char> plain) {
  if (broken_) {
    return {.status = Status::Failed, .plain_bytes = 0};
  }
  ERR_clear_error();
  incoming_ = {wire.data(), wire.size()};
  if (!established_) {
    const int done = SSL_do_handshake(ssl_.get());
    if (done != 1) {
      return failed(SSL_get_error(ssl_.get(), done), 0);
    }
    established_ = true;
  }
  std::size_t plain_bytes = 0;
  for (;;) {
    std::size_t got = 0;
    const int read = SSL_read_ex(ssl_.get(), plain.data() + plain_bytes, plain.size() - plain_bytes, &got);
    if (read != 1 || broken_) {
      return failed(SSL_get_error(ssl_.get(), read), plain_bytes);
    }
    plain_bytes += got;
  }
}

// Why OpenSSL does not go on: most often because it has consumed all there is.
TlsSession::Received TlsSession::failed(int error, std::size_t plain_bytes) {
  incoming_ = {};
  if (!broken_ && error == SSL_ERROR_WANT_READ) {
    return {.status = Status::Open, .plain_bytes = plain_bytes};
  }
  if (!broken_ && error == SSL_ERROR_ZERO_RETURN) {
    return {.status = Status::Ended, .plain_bytes = plain_bytes};
  }
  if (!broken_) {
    const unsigned long code = ERR_peek_error();
    const char* reason = ERR_reason_error_string(code);
    met_plain_http_ = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
    failure_ = reason != nullptr ? reason : "unknown reason";
    broken_ = true;
  }
  ERR_clear_error();
  // What was said before it broke counts no less than on a connection that is reset.
  return {.status = Status::Failed, .plain_bytes = plain_bytes};
}

std::size_t TlsSession::encrypt(std::string_view plain, std::span<char> wire) {
  JAM_CHECK(established_ && outgoing_.empty() && plain.size() <= kTlsPlainBytesMax);
  if (broken_ || plain.empty()) {
    return 0;
  }
  ERR_clear_error();
  if (++records_of_key_ > limits_.records_per_key_max && SSL_version(ssl_.get()) == TLS1_3_VERSION) {
    records_of_key_ = 1;
    SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);  // With the record that follows.
  }
  room_ = wire;
  room_used_ = 0;
  std::size_t taken = 0;
  const int written = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &taken);
  room_ = {};
  const std::size_t made = std::exchange(room_used_, 0);
  if (written != 1 || !outgoing_.empty()) {
    failure_ = "cannot encrypt";
    broken_ = true;
    ERR_clear_error();
    return 0;
  }
  JAM_CHECK(taken == plain.size());
  return made;
}

void TlsSession::say_end() {
  if (!established_ || broken_ || (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) {
    return;
  }
  ERR_clear_error();
  // 0 and 1: ours is said, the peer's was not or was heard. Its own may follow or not: whoever is left does not wait.
  if (SSL_shutdown(ssl_.get()) < 0) {
    ERR_clear_error();
  }
}

std::string TlsSession::take_outgoing() { return std::exchange(outgoing_, {}); }

}  // namespace jamsocket::io
