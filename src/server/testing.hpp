// server/testing.hpp
//
// For the tests of this folder: a client that speaks bytes and waits for them.

#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "io/socket.hpp"

namespace jamsocket::server {

/// Whether this system lets a thread leave the lowest priority again.
inline bool may_leave_idle_priority() {
  bool may = false;
  std::thread([&may] {
    const sched_param none{};
    may = ::setpriority(PRIO_PROCESS, 0, 19) == 0 && ::sched_setscheduler(0, SCHED_IDLE, &none) == 0 &&
          ::sched_setscheduler(0, SCHED_OTHER, &none) == 0;
  }).join();
  return may;
}

/// Blocking, with a minute of patience: what runs at the lowest priority may take its time on a busy machine.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Reads until `text` has come, or the end, or the patience is over.
  std::string read_until(std::string_view text) {
    while (received_.find(text) == std::string::npos && read_some()) {
    }
    return received_;
  }
  std::string read_to_end() { return read_until(std::string("\0never\0", 7)); }
  // After the answer to the upgrade: until its first short frame is whole.
  std::string read_until_frame_end() {
    const std::size_t at = read_until("\r\n\r\n").find("\r\n\r\n") + 4;
    while (received_.size() < at + 2 || received_.size() < at + 2 + (received_[at + 1] & 0x7F)) {
      if (!read_some()) {
        break;
      }
    }
    return received_;
  }
  void upgrade(const std::string& target, const std::string& headers = {}) {
    send("GET " + target +
         " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         headers + "\r\n");
  }
  // A masked text frame, with a mask of zeros.
  static std::string text(std::string_view payload) {
    return std::string{static_cast<char>(0x81), static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0} +
           std::string(payload);
  }

 private:
  bool read_some() {
    std::array<char, 4096> buffer;
    const ssize_t n = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (n > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return n > 0;
  }

  io::Socket socket_;
  std::string received_;
};

}  // namespace jamsocket::server
