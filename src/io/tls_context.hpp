// io/tls_context.hpp
//
// A certificate, its key, and the rules of every TLS connection made with them.
//
// TLS 1.2 and 1.3 (RFC 5246, RFC 8446) with forward secrecy and authenticated encryption only; no compression,
// no renegotiation, no early data. Sessions are not resumed: a ticket's key would have to be changed and shared, and
// what it saves is one signature.

#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::io {

/// In PEM; the certificate's file holds what leads to its root behind it.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

/// Immutable; used by all threads, and kept alive by its connections: another one takes its place for those that come.
class TlsContext {
  class Made {};  // Only `load` has one.

 public:
  /// @param unix_ms  the time that the certificate's dates are held against.
  /// @error Io               a file cannot be read.
  /// @error InvalidArgument  what is in it is not what it should be, or the two do not belong together.
  /// The message names the file, and what is wrong with it.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files, std::int64_t unix_ms);

  explicit TlsContext(Made);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext() = default;

  /// What an operator should know: the certificate has expired, or is not yet valid.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  /// When it expires, as the certificate says it: "Jan 27 00:00:00 2027 GMT".
  [[nodiscard]] const std::string& expires() const { return expires_; }

  /// For TlsSession.
  [[nodiscard]] SSL_CTX* openssl() const { return context_.get(); }
  [[nodiscard]] const BIO_METHOD* wire() const { return wire_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
  };

  Result<void> use_certificate(const std::string& file, std::int64_t unix_ms);
  Result<void> use_key(const TlsFiles& files);

  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<BIO_METHOD, Free> wire_;
  std::vector<std::string> warnings_;
  std::string expires_;
};

}  // namespace jamsocket::io
