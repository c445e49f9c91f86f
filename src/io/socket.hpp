// io/socket.hpp
//
// An owned, non-blocking descriptor, and the few system calls made on it.

#pragma once

#include <netinet/in.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/output.hpp"

namespace jamsocket::io {

/// "accept4: Too many open files", of the calling thread's errno.
[[nodiscard]] std::string errno_message(std::string_view call);

enum class IoStatus : std::uint8_t {
  Done,
  WouldBlock,  ///< Nothing to read, or no room to write: wait for readiness.
  Closed,      ///< The peer ended its side (reads only).
  Failed,      ///< Reset, timed out, ...: of no further use.
};

struct IoResult {
  IoStatus status = IoStatus::Done;
  std::size_t bytes = 0;
};

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int release();
  void close();

  /// Reads once, at most `into.size()` bytes.
  [[nodiscard]] IoResult read(std::span<char> into) const;
  /// Reads what stays there to be read.
  [[nodiscard]] IoResult peek(std::span<char> into) const;
  /// Writes once; `bytes` says how far it came.
  [[nodiscard]] IoResult write(std::string_view bytes) const;
  /// Writes the parts, in order, once.
  [[nodiscard]] IoResult write(std::span<const std::string_view> parts) const;
  /// No more from us: the peer reads to the end and then sees the end.
  void shut_down_writing() const;
  /// The next `close` drops what is queued and resets the connection.
  void reset_on_close() const;

 private:
  int fd_ = -1;
};

/// Where a connection comes from, as accept() told.
class PeerAddress {
 public:
  PeerAddress() = default;
  explicit PeerAddress(const sockaddr_in6& address) : address_(address) {}

  /// Nobody's when the peer came by a unix-domain socket.
  [[nodiscard]] IpAddress ip() const;
  /// Whether it came by a unix-domain socket.
  [[nodiscard]] bool is_unix() const;
  /// Without port: "127.0.0.1" or "::1" (an IPv4 peer of an IPv6 socket in dotted form); "unix"; empty when it
  /// is none of these.
  [[nodiscard]] std::string text() const;

 private:
  sockaddr_in6 address_{};  ///< Large enough for an IPv4 address, which is told by its family.
};

/// Whom a connected socket is connected to.
[[nodiscard]] PeerAddress peer_of(const Socket& socket);

}  // namespace jamsocket::io
