// io/stream.hpp
//
// A connection's bytes, as its owner reads and writes them: the one thing that HTTP connections and
// sessions hold, whatever lies between them and the socket.
//
// Read and write as Socket's do: once, as far as it goes. It moves with all that it holds from one owner to
// the next, and from one shard to another. Thread: its owner's.

#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "io/socket.hpp"

namespace jamsocket::io {

class Stream {
 public:
  Stream() = default;
  explicit Stream(Socket socket) : socket_(std::move(socket)) {}

  /// For the event loop.
  [[nodiscard]] const Socket& socket() const { return socket_; }
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }

  [[nodiscard]] IoResult read(std::span<char> into) { return socket_.read(into); }
  [[nodiscard]] IoResult write(std::string_view bytes) { return socket_.write(bytes); }
  [[nodiscard]] IoResult write(std::span<const std::string_view> parts) { return socket_.write(parts); }
  /// No more from us: the peer reads to the end and then sees the end.
  void shut_down_writing() { socket_.shut_down_writing(); }
  void close() { socket_.close(); }
  /// Drops what is queued, and resets the connection.
  void reset() {
    socket_.reset_on_close();
    socket_.close();
  }

 private:
  Socket socket_;
};

}  // namespace jamsocket::io
