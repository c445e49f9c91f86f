// io/tls_for_test.hpp
//
// For tests: certificates in files, and a TLS client whose wire is two strings.

#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "io/self_signed.hpp"
#include "io/tls_context.hpp"

namespace jamsocket::io {

inline constexpr std::int64_t kTestNowUnixS = 1'700'000'000;  // 2023-11-14
inline constexpr std::int64_t kTestDayS = 86'400;

/// A folder that goes with its owner.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "jamsocket_tls_XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }

  std::string write(const std::string& name, std::string_view contents) const {
    const std::string file = (path_ / name).string();
    std::ofstream(file, std::ios::binary | std::ios::trunc) << contents;
    return file;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline CertificateAndKey test_certificate(std::int64_t from = kTestNowUnixS - kTestDayS,
                                          std::int64_t until = kTestNowUnixS + kTestDayS) {
  return *make_self_signed({.valid_from_unix_s = from, .valid_until_unix_s = until});
}

inline TlsFiles write_certificate(const TestFolder& folder, const CertificateAndKey& made) {
  return {.certificate = folder.write("cert.pem", made.certificate), .key = folder.write("key.pem", made.key)};
}

inline std::shared_ptr<const TlsContext> test_context() {
  const TestFolder folder;
  return *TlsContext::load(write_certificate(folder, test_certificate()), kTestNowUnixS * 1000);
}

/// The other end, of any certificate.
class TestTlsClient {
 public:
  explicit TestTlsClient(int version = TLS1_3_VERSION, std::string_view alpn = {}) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
    ssl_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_connect_state(ssl_.get());
    if (!alpn.empty()) {
      EXPECT_EQ(SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                                    static_cast<unsigned>(alpn.size())),
                0);
    }
  }

  [[nodiscard]] SSL* ssl() { return ssl_.get(); }
  void receive(std::string_view wire) {
    if (!wire.empty()) {
      EXPECT_EQ(BIO_write(in_, wire.data(), static_cast<int>(wire.size())), static_cast<int>(wire.size()));
    }
  }
  /// What it wants to have sent.
  std::string take_wire() {
    std::string wire(static_cast<std::size_t>(BIO_ctrl_pending(out_)), '\0');
    if (!wire.empty()) {
      EXPECT_EQ(BIO_read(out_, wire.data(), static_cast<int>(wire.size())), static_cast<int>(wire.size()));
    }
    return wire;
  }
  void handshake() {
    ERR_clear_error();
    (void)SSL_do_handshake(ssl_.get());
  }
  [[nodiscard]] bool is_established() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  std::string encrypt(std::string_view plain) {
    ERR_clear_error();
    if (!plain.empty()) {
      EXPECT_EQ(SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())), static_cast<int>(plain.size()));
    }
    return take_wire();
  }
  std::string decrypt(std::string_view wire) {
    receive(wire);
    std::string plain;
    std::array<char, 16'384> piece;
    ERR_clear_error();
    for (;;) {
      const int got = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()));
      if (got <= 0) {
        last_error_ = SSL_get_error(ssl_.get(), got);
        return plain;
      }
      plain.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  [[nodiscard]] int last_error() const { return last_error_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  int last_error_ = SSL_ERROR_NONE;
};

}  // namespace jamsocket::io
