// load/tls_client.hpp
//
// One client's TLS: bytes of the wire in, plain bytes out, and the reverse. No I/O.
//
// Whose certificate it is is not looked at. What goes wrong ends the process: such a run is void.

#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace jamsocket::bench {

class TlsClientContext {
 public:
  TlsClientContext();
  [[nodiscard]] SSL_CTX* openssl() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::unique_ptr<SSL_CTX, Free> context_;
};

class TlsClient {
 public:
  /// Its hello is outgoing then.
  explicit TlsClient(const TlsClientContext& context);

  void receive(std::string_view wire);
  [[nodiscard]] bool is_established() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  /// Decrypts what was received. @return how many bytes of `into` it fills; what did not fit is there the next time.
  [[nodiscard]] std::size_t read(std::span<char> into);
  void write(std::string_view plain);
  [[nodiscard]] std::string take_outgoing();

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  void expect(int done) const;

  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;  ///< Both owned by `ssl_`.
  BIO* out_ = nullptr;
};

}  // namespace jamsocket::bench
