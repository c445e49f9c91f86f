// io/tls_session.hpp
//
// One connection's TLS, the server's side: bytes of the wire in, plain bytes out, and the reverse. No I/O.
//
// What is received is consumed whole by each call, so that nothing decrypted waits for an event that does not come.
// Between calls it holds no buffer but of an incomplete record.

#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/tls_context.hpp"

namespace jamsocket::io {

/// RFC 8446 section 5.1.
inline constexpr std::size_t kTlsPlainBytesMax = std::size_t{16} << 10U;
/// More than any record of so much takes on the wire, a message of TLS's own before it included.
inline constexpr std::size_t kTlsRecordBytesMax = kTlsPlainBytesMax + 512;

struct TlsLimits {
  std::uint32_t asked_changes_max = 128;  ///< Key updates and renegotiations that a peer may ask for; then: failure.
  std::uint32_t records_per_key_max = std::uint32_t{1} << 24U;  ///< Then a new key, RFC 8446 section 5.5.
};

class TlsSession {
 public:
  enum class Status : std::uint8_t {
    Open,    ///< Or in its handshake, see `is_established`.
    Ended,   ///< The peer said close_notify; what comes behind is ignored.
    Failed,  ///< Broken by the peer: `take_outgoing` has the alert, if there is one to send.
  };
  struct Received {
    Status status = Status::Open;
    std::size_t plain_bytes = 0;
  };

  TlsSession(std::shared_ptr<const TlsContext> context, const TlsLimits& limits);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  /// Goes on with the handshake, or decrypts, as far as `wire` leads. It may have something to send then.
  /// @param plain  for what was decrypted: as large as `wire` and a record besides. It may be memory around `wire`, if
  ///   it begins kTlsRecordBytesMax before it.
  [[nodiscard]] Received receive(std::span<const char> wire, std::span<char> plain);
  [[nodiscard]] bool is_established() const { return established_; }

  /// Makes a record of at most kTlsPlainBytesMax bytes, in kTlsRecordBytesMax of room. Only when established, and when
  /// there is nothing outgoing.
  /// @return how much of `wire` it takes; 0: it failed.
  [[nodiscard]] std::size_t encrypt(std::string_view plain, std::span<char> wire);
  /// Adds our close_notify to what is outgoing, once, if the connection is in a state for it.
  void say_end();

  /// Handshake, alerts: to be sent before anything that is encrypted later.
  [[nodiscard]] std::string take_outgoing();
  [[nodiscard]] bool has_outgoing() const { return !outgoing_.empty(); }
  /// Of Status::Failed, in OpenSSL's words; static text.
  [[nodiscard]] const char* failure() const { return failure_; }
  /// It failed because the peer asked for more than `asked_changes_max`.
  [[nodiscard]] bool asked_too_often() const { return asked_changes_ > limits_.asked_changes_max; }
  /// It failed because the peer speaks HTTP without TLS.
  [[nodiscard]] bool met_plain_http() const { return met_plain_http_; }
  /// "TLSv1.3".
  [[nodiscard]] const char* version() const { return SSL_get_version(ssl_.get()); }

  /// How OpenSSL reads and writes a session's wire; for TlsContext.
  [[nodiscard]] static BIO_METHOD* make_wire();

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static int read_wire(BIO* bio, char* to, int bytes);
  static int write_wire(BIO* bio, const char* from, int bytes);
  static long control_wire(BIO* bio, int command, long number, void* pointer);
  static void note_message(const SSL* ssl, int where, int value);
  [[nodiscard]] Received failed(int error, std::size_t plain_bytes);

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<SSL, Free> ssl_;
  std::string_view incoming_;  ///< Of the call under way.
  std::span<char> room_;       ///< Of the call under way, for what it writes; behind that, `outgoing_`.
  std::size_t room_used_ = 0;
  std::string outgoing_;
  const char* failure_ = "";
  TlsLimits limits_;
  std::uint32_t asked_changes_ = 0;
  std::uint32_t records_of_key_ = 0;
  bool established_ = false;
  bool met_plain_http_ = false;
  bool broken_ = false;  ///< OpenSSL allows nothing more but to free it.
};

}  // namespace jamsocket::io
