// load/clients.hpp
//
// WebSocket clients on one epoll set: connecting, upgrading, and the two directions of frames.
//
// No library for it, and no more protocol than a server under test needs: one key, one mask, whole messages.
// Whatever else a server does (a close, a fragment, a masked frame) ends the process: such a run is void.

#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "load/options.hpp"
#include "load/tls_client.hpp"

namespace jamsocket::bench {

enum class Role : std::uint8_t { Member, Publisher };

struct Client {
  int fd = -1;
  std::uint32_t room = 0;
  Role role = Role::Member;
  bool open = false;
  bool heard = false;  ///< A message came.
  std::uint64_t dialled_ns = 0;
  std::unique_ptr<TlsClient> tls;  ///< Null: plain.
  std::string pending;             ///< Bytes of a frame, or of the upgrade's answer, that are not yet whole.
};

/// A masked client frame whose payload begins with a time stamp: 16 hexadecimal digits, the
/// CLOCK_MONOTONIC nanosecond at which the message was (due to be) sent. ASCII, so that text and
/// binary frames carry the same bytes.
class StampedFrame {
 public:
  StampedFrame(std::size_t payload_bytes, bool text);
  const std::string& stamped(std::uint64_t stamp);
  [[nodiscard]] static std::uint64_t stamp_of(std::string_view payload);

 private:
  std::string frame_;
  std::size_t payload_at_ = 0;
};

class Clients {
 public:
  explicit Clients(const LoadOptions& options);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients();

  /// Connects and sends the upgrade request; with TLS, its hello.
  void dial(Client& client);
  /// Reads what there is of the answer. @return whether the client became open by it.
  bool read_upgrade(Client& client);
  /// Dials all of them, `options.burst` at a time, and waits until each is open.
  /// @return how long that took, in milliseconds.
  double open_all(std::span<Client> clients);
  /// Resets the connection: no TIME_WAIT is left behind.
  void leave(Client& client);

  /// Waits for readable clients. @return them; valid until the next call.
  std::span<epoll_event> wait(int timeout_ms);
  std::span<epoll_event> wait(std::chrono::nanoseconds timeout);
  static Client& client_of(const epoll_event& event) { return *static_cast<Client*>(event.data.ptr); }

  /// Sends on a blocking socket: what is under way fits into any socket's buffers, so a full one means
  /// a server that stopped reading, and then the run is void anyway.
  static void send_all(Client& client, std::string_view bytes);

  /// Reads once and calls `on_message(payload)` for each whole message.
  /// @return whether there was anything to read.
  template <class OnMessage>
  bool receive(Client& client, OnMessage&& on_message) {
    std::string_view bytes = read(client);
    if (bytes.empty()) {
      return false;
    }
    for (ServerFrame frame = front_frame(bytes); frame.bytes != 0; frame = front_frame(bytes)) {
      if (frame.kind == ServerFrame::Kind::Message) {
        on_message(bytes.substr(frame.head_bytes, frame.bytes - frame.head_bytes));
      }
      bytes.remove_prefix(frame.bytes);
    }
    client.pending.assign(bytes);
    return true;
  }

 private:
  std::string_view read(Client& client);
  struct ServerFrame {
    enum class Kind : std::uint8_t { Message, PingOrPong };
    Kind kind = Kind::Message;
    std::size_t head_bytes = 0;
    std::size_t bytes = 0;  ///< Head and payload; 0: the frame is not whole yet.
  };
  static ServerFrame front_frame(std::string_view bytes);
  static void check_early_frames(std::string_view bytes);
  [[nodiscard]] std::string request(const Client& client) const;

  [[nodiscard]] bool read_handshake(Client& client, std::string_view wire);

  const LoadOptions& options_;
  TlsClientContext tls_;
  int epoll_ = -1;
  std::vector<char> buffer_;
  std::vector<char> wire_;  ///< TLS: what one read brought.
  std::vector<epoll_event> events_;
};

}  // namespace jamsocket::bench
