#include "io/tls_context.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <ctime>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"
#include "io/socket.hpp"
#include "io/tls_session.hpp"

namespace jamsocket::io {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20U;
constexpr int kSecurityLevel = 2;  // 112 bits: RSA keys of 2,048 bits and more, no SHA-1.

struct FreeOpenssl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, FreeOpenssl>;
using Certificate = std::unique_ptr<X509, FreeOpenssl>;
using Key = std::unique_ptr<EVP_PKEY, FreeOpenssl>;

std::string shown(const std::string& file) { return escape_for_log(file, 300); }

// What OpenSSL found wrong, in its words.
std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown reason";
}

Result<std::string> contents_of(std::string_view what, const std::string& file) {
  const Socket opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!opened.is_open()) {
    return fail(ErrorCode::Io, errno_message(fmt::format("{} cannot be read: {}", what, shown(file))));
  }
  std::string all;
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t got = ::read(opened.fd(), piece.data(), piece.size());
    if (got < 0) {
      return fail(ErrorCode::Io, errno_message(fmt::format("{} cannot be read: {}", what, shown(file))));
    }
    if (got == 0) {
      return all;
    }
    all.append(piece.data(), static_cast<std::size_t>(got));
    if (all.size() > kFileBytesMax) {
      return fail(ErrorCode::InvalidArgument, fmt::format("{} is larger than 1 MiB: {}", what, shown(file)));
    }
  }
}

Bio memory_of(const std::string& bytes) {
  Bio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  JAM_CHECK(bio != nullptr);
  return bio;
}

std::string text_of(const ASN1_TIME* time) {
  const Bio bio(BIO_new(BIO_s_mem()));
  JAM_CHECK(bio != nullptr);
  if (ASN1_TIME_print(bio.get(), time) != 1) {
    return "an unknown date";
  }
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(bytes)};
}

// Nobody is asked for a password: the server may have no terminal, or somebody else's.
int no_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 0;
}

// RFC 7301: a client that says what it speaks must speak HTTP/1.1, or is refused.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes, const unsigned char* offered,
                    unsigned int offered_bytes, void*) {
  constexpr std::string_view kHttp = "http/1.1";
  for (unsigned int at = 0; at < offered_bytes;) {
    const unsigned int bytes = offered[at];
    if (bytes > offered_bytes - at - 1) {
      break;
    }
    if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), bytes) == kHttp) {
      *chosen = offered + at + 1;
      *chosen_bytes = static_cast<unsigned char>(bytes);
      return SSL_TLSEXT_ERR_OK;
    }
    at += bytes + 1;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

TlsContext::TlsContext(Made) : context_(SSL_CTX_new(TLS_server_method())), wire_(TlsSession::make_wire()) {
  SSL_CTX* context = context_.get();
  JAM_CHECK(context != nullptr && wire_ != nullptr);
  JAM_CHECK(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  JAM_CHECK(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  SSL_CTX_set_security_level(context, kSecurityLevel);
  JAM_CHECK(SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1);
  JAM_CHECK(SSL_CTX_set_ciphersuites(
                context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1);
  std::string groups = "X25519:P-256:P-384";  // Not const: OpenSSL's macro takes a char*.
  JAM_CHECK(SSL_CTX_set1_groups_list(context, groups.data()) == 1);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  JAM_CHECK(SSL_CTX_set_num_tickets(context, 0) == 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, std::int64_t unix_ms) {
  ERR_clear_error();
  auto made = std::make_shared<TlsContext>(Made{});
  JAM_TRY_VOID(made->use_certificate(files.certificate, unix_ms));
  JAM_TRY_VOID(made->use_key(files));
  return made;
}

Result<void> TlsContext::use_certificate(const std::string& file, std::int64_t unix_ms) {
  const std::string pem = JAM_TRY(contents_of("tls.cert", file));
  const Bio bio = memory_of(pem);
  const Certificate leaf(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
  if (leaf == nullptr) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tls.cert holds no certificate in PEM (-----BEGIN CERTIFICATE-----): {} ({})", shown(file),
                            openssl_reason()));
  }
  if (SSL_CTX_use_certificate(context_.get(), leaf.get()) != 1) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tls.cert cannot be used: {} ({})", shown(file), openssl_reason()));
  }
  for (;;) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) {
      break;
    }
    if (SSL_CTX_add0_chain_cert(context_.get(), next.get()) != 1) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("tls.cert cannot be used, because of a certificate behind the first: {} ({})",
                              shown(file), openssl_reason()));
    }
    std::ignore = next.release();  // The context's.
  }
  const unsigned long ended = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_REASON(ended) != PEM_R_NO_START_LINE) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tls.cert is damaged behind its first certificate: {}", shown(file)));
  }
  std::time_t now = unix_ms / 1000;
  expires_ = text_of(X509_get0_notAfter(leaf.get()));
  if (X509_cmp_time(X509_get0_notAfter(leaf.get()), &now) < 0) {
    warnings_.push_back(fmt::format("the certificate has expired, on {}: {}", expires_, shown(file)));
  }
  if (X509_cmp_time(X509_get0_notBefore(leaf.get()), &now) > 0) {
    warnings_.push_back(fmt::format("the certificate is not valid before {}: {}",
                                    text_of(X509_get0_notBefore(leaf.get())), shown(file)));
  }
  return {};
}

Result<void> TlsContext::use_key(const TlsFiles& files) {
  std::string pem = JAM_TRY(contents_of("tls.key", files.key));
  bool asked_for_password = false;
  const Key key(PEM_read_bio_PrivateKey(memory_of(pem).get(), nullptr, no_password, &asked_for_password));
  OPENSSL_cleanse(pem.data(), pem.size());
  if (key == nullptr) {
    const std::string reason = openssl_reason();
    return fail(ErrorCode::InvalidArgument,
                asked_for_password
                    ? fmt::format("tls.key is encrypted: {}; allowed: a key without a password", shown(files.key))
                    : fmt::format("tls.key holds no private key in PEM (-----BEGIN PRIVATE KEY-----): {} ({})",
                                  shown(files.key), reason));
  }
  if (X509_check_private_key(SSL_CTX_get0_certificate(context_.get()), key.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tls.key and tls.cert do not belong together: {} is not the key of the first certificate "
                            "in {}",
                            shown(files.key), shown(files.certificate)));
  }
  if (SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tls.key cannot be used: {} ({})", shown(files.key), openssl_reason()));
  }
  return {};
}

}  // namespace jamsocket::io
