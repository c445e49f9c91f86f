// io/stream.hpp
//
// A connection's bytes, as its owner reads and writes them: the socket's, or those inside its TLS. The one thing that
// HTTP connections and sessions hold, whatever lies between them and the socket.
//
// Read and write as Socket's do: once, as far as it goes. It moves with all that it holds from one owner to
// the next, and from one shard to another. Thread: its owner's.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "io/socket.hpp"

namespace jamsocket::io {

class TlsContext;
struct TlsLimits;

class Stream {
 public:
  Stream();
  explicit Stream(Socket socket);
  /// Over TLS, whose handshake is still to be made.
  Stream(Socket socket, std::shared_ptr<const TlsContext> tls, const TlsLimits& limits);
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  /// For the event loop.
  [[nodiscard]] const Socket& socket() const { return socket_; }
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }

  [[nodiscard]] bool is_tls() const { return tls_ != nullptr; }

  /// Reads what has come, at most `into.size()` bytes. With TLS, nothing of what was received is left to be read
  /// without another event, `into` needs kTlsReadBytesMin, and it is used as a whole.
  [[nodiscard]] IoResult read(std::span<char> into) { return tls_ == nullptr ? socket_.read(into) : read_tls(into); }
  /// What `read` needs room for.
  [[nodiscard]] std::size_t read_bytes_min() const;
  /// Writes once, `bytes` says how far it came: what it did not take must be offered again, first.
  [[nodiscard]] IoResult write(std::string_view bytes) {
    return tls_ == nullptr ? socket_.write(bytes) : write_tls({&bytes, 1});
  }
  [[nodiscard]] IoResult write(std::span<const std::string_view> parts) {
    return tls_ == nullptr ? socket_.write(parts) : write_tls(parts);
  }
  /// The peer has said that nothing more comes, behind what was read last: the socket may never become readable again.
  [[nodiscard]] bool has_ended() const { return tls_ != nullptr && tls_has_ended(); }
  /// After a read that failed: because the peer asked for more changes than TlsLimits::asked_changes_max.
  [[nodiscard]] bool asked_too_often() const { return tls_ != nullptr && tls_asked_too_often(); }
  /// No more from us: the peer reads to the end and then sees the end.
  void shut_down_writing();
  void close();
  /// Drops what is queued, and resets the connection.
  void reset();

  enum class Handshake : std::uint8_t {
    Done,
    WantsToRead,
    WantsToWrite,
    Failed,
    FailedByHttp,  ///< The peer speaks HTTP without TLS, and was told nothing.
  };
  struct HandshakeStep {
    Handshake state = Handshake::Done;
    std::size_t bytes = 0;    ///< Plain ones in `into`, that came with the last of the handshake.
    const char* reason = "";  ///< Why it failed; static text.
  };
  /// One step of TLS's handshake. Failed: the peer was told why, as far as it could be.
  /// @param into  as for `read`; the plain bytes come once, with Done or with WantsToWrite.
  [[nodiscard]] HandshakeStep handshake(std::span<char> into);

 private:
  struct Tls;

  [[nodiscard]] IoResult read_tls(std::span<char> into);
  [[nodiscard]] IoResult write_tls(std::span<const std::string_view> parts);
  [[nodiscard]] bool tls_has_ended() const;
  [[nodiscard]] bool tls_asked_too_often() const;
  [[nodiscard]] IoStatus send_unsent();
  void send_outgoing();

  Socket socket_;
  std::unique_ptr<Tls> tls_;
};

/// What `Stream::read` needs room for: a record that is received, and one that was begun before.
inline constexpr std::size_t kTlsReadBytesMin = std::size_t{40} << 10U;

}  // namespace jamsocket::io
