// io/listener.hpp
//
// A listening TCP socket, shared by all shards: each watches it exclusively and takes what it gets.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "io/socket.hpp"

namespace jamsocket::io {

struct Accepted {
  PeerAddress peer;
  Socket socket;  ///< Non-blocking, close-on-exec, TCP_NODELAY; closed when nothing was accepted.
  enum class Status : std::uint8_t {
    Connection,
    Nothing,         ///< The queue is empty.
    Gone,            ///< That peer left before we came to it: look for the next.
    OutOfResources,  ///< Descriptors or memory: try again after a while, or the loop spins.
  } status = Status::Nothing;
};

/// What to do about an error of accept(2).
[[nodiscard]] Accepted::Status status_of_accept_error(int error);

class Listener {
 public:
  /// Binds and listens. `host`: an IPv4 or IPv6 address, or a name that resolves to one.
  /// @error Io  the port is taken, the address is not ours, ...; the message names host and port.
  [[nodiscard]] static Result<Listener> open(const std::string& host, std::uint16_t port);

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const Socket& socket() const { return socket_; }
  [[nodiscard]] Accepted accept() const;
  /// From here on connections are refused, those that wait in the queue are reset, and `accept` finds
  /// nothing. Any thread: the descriptor stays open, others may be using it.
  void stop_listening() const;
  void close() { socket_.close(); }

 private:
  Listener(Socket socket, std::uint16_t port) : socket_(std::move(socket)), port_(port) {}

  Socket socket_;
  std::uint16_t port_;
};

}  // namespace jamsocket::io
