#include "load/tls_client.hpp"

#include <openssl/err.h>

#include "load/options.hpp"

namespace jamsocket::bench {

TlsClientContext::TlsClientContext() : context_(SSL_CTX_new(TLS_client_method())) {
  if (context_ == nullptr) {
    die("no TLS");
  }
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);
}

TlsClient::TlsClient(const TlsClientContext& context)
    : ssl_(SSL_new(context.openssl())), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
  if (ssl_ == nullptr || in_ == nullptr || out_ == nullptr) {
    die("no memory for TLS");
  }
  SSL_set_bio(ssl_.get(), in_, out_);
  SSL_set_connect_state(ssl_.get());
  expect(SSL_do_handshake(ssl_.get()));
}

void TlsClient::expect(int done) const {
  if (done != 1 && SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    die(std::string("TLS failed: ") + (reason != nullptr ? reason : "the server ended it"));
  }
}

void TlsClient::receive(std::string_view wire) {
  ERR_clear_error();
  BIO_write(in_, wire.data(), static_cast<int>(wire.size()));
  if (!is_established()) {
    expect(SSL_do_handshake(ssl_.get()));
  }
}

std::size_t TlsClient::read(std::span<char> into) {
  std::size_t total = 0;
  while (total < into.size()) {
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &got);
    if (done != 1) {
      expect(done);
      break;
    }
    total += got;
  }
  return total;
}

void TlsClient::write(std::string_view plain) {
  std::size_t taken = 0;
  if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &taken) != 1 || taken != plain.size()) {
    die("TLS cannot write");
  }
}

std::string TlsClient::take_outgoing() {
  std::string outgoing(BIO_ctrl_pending(out_), '\0');
  if (!outgoing.empty()) {
    BIO_read(out_, outgoing.data(), static_cast<int>(outgoing.size()));
  }
  return outgoing;
}

}  // namespace jamsocket::bench
