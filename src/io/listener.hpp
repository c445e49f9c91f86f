// io/listener.hpp
//
// A listening socket, over IP or of the unix domain, shared by all shards: each watches it exclusively and takes what
// it gets.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/endpoint.hpp"
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

struct ListenOptions {
  /// Of `::`: whether IPv4 clients reach it too.
  enum class Stack : std::uint8_t { Dual, Ipv6Only } stack = Stack::Dual;
  /// Of a connection over IP, what the kernel takes of us beyond what the peer lets it send.
  std::size_t unsent_bytes_max = std::size_t{128} << 10U;
  mode_t unix_mode = 0660;  ///< Permissions of a unix-domain socket's file: who may write, may connect.
};

class Listener {
 public:
  /// Binds and listens. A name is taken at the first of its addresses that this machine has. The file of a unix-domain
  /// socket that nobody listens on any longer is replaced; any other file at its path is not.
  /// @error InvalidArgument  the host is no address and no name of one; the path holds something else.
  /// @error Io               the port or path is taken, the address is not ours, ...; the message names it.
  [[nodiscard]] static Result<Listener> open(const Endpoint& endpoint, const ListenOptions& options = {});
  [[nodiscard]] static Result<Listener> open(const std::string& host, std::uint16_t port) {
    return open(Endpoint{.host = host, .port = port});
  }
  /// Takes a socket that listens already, made by whoever started the process: it listens on after us.
  /// @error InvalidArgument  it is no listening stream socket of IP or of the unix domain.
  [[nodiscard]] static Result<Listener> inherit(Socket socket, const ListenOptions& options = {});

  /// With the port that was chosen where it was 0.
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] std::uint16_t port() const { return endpoint_.port; }
  [[nodiscard]] const Socket& socket() const { return socket_; }
  [[nodiscard]] Accepted accept() const;
  /// From here on connections are refused, those that wait in the queue are reset, and `accept` finds
  /// nothing. An inherited socket listens on for its next owner. Any thread: the descriptor stays open, others may be
  /// using it.
  void stop_listening() const;
  /// Removes the file of a unix-domain socket too, if it is still ours.
  void close();

 private:
  /// Which file a unix-domain socket has made.
  struct File {
    dev_t device = 0;
    ino_t inode = 0;
  };

  Listener(Socket socket, Endpoint endpoint) : socket_(std::move(socket)), endpoint_(std::move(endpoint)) {}
  [[nodiscard]] static Result<Listener> open_ip(const Endpoint& endpoint, const ListenOptions& options);
  [[nodiscard]] static Result<Listener> open_unix(const Endpoint& endpoint, mode_t mode);

  Socket socket_;
  Endpoint endpoint_;
  std::optional<File> file_{};
  bool inherited_ = false;
};

}  // namespace jamsocket::io
