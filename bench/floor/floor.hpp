// floor/floor.hpp
//
// What is left of a WebSocket server when all logic is taken out: epoll and the system calls.
//
// The upgrade's answer is canned (right only for RFC 6455's example key, which wsload sends), frames
// are assumed to be of one known size, and a message is never looked at: it is unmasked and written
// out again. Costs are judged as a ratio to this program's, measured in the same round.
//
// With a certificate it is what OpenSSL costs when nothing else is done: the library on the socket itself, as its
// manual has it, reading ahead, one SSL_write for what one read brought.

#pragma once

#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jamsocket::bench {

struct FloorOptions {
  std::string mode = "echo";  ///< echo: back to the sender; fanout: to every other client of the room.
  std::uint16_t port = 9001;
  std::size_t payload = 64;
  /// Fan-out: what one turn of the loop reads leaves together, one call a socket. Whoever spoke in the
  /// turn hears nothing of it, which is enough where publishers only publish.
  bool coalesce = false;
  std::string tls_cert;  ///< A file in PEM; empty: no TLS.
  std::string tls_key;
};

class Floor {
 public:
  explicit Floor(const FloorOptions& options);
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;
  /// Serves until the process is ended.
  [[noreturn]] void run();

 private:
  struct FreeTls {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* tls) const { SSL_free(tls); }
  };
  struct Room;
  struct Peer {
    int fd = -1;
    std::unique_ptr<SSL, FreeTls> tls;
    Room* room = nullptr;   ///< nullptr until it is upgraded.
    std::size_t place = 0;  ///< In the room's members.
    bool spoke = false;     ///< Coalescing: sent something in this turn of the loop.
    std::string pending;    ///< Input that is not yet whole.
    std::string unsent;     ///< What a short write left.
  };
  struct Room {
    std::vector<Peer*> members;
    std::string batch;  ///< Coalescing: this turn's frames.
  };

  void accept_all();
  /// As recv and send; TLS's handshake is made on the way. What waits for the other direction is not sent again by
  /// itself, which is enough where nobody asks for another handshake.
  static ssize_t receive(Peer& peer, char* to, std::size_t bytes);
  static ssize_t send(Peer& peer, std::string_view bytes);
  void readable(Peer& peer);
  void writable(Peer& peer);
  void upgrade(Peer& peer, std::string_view request);
  void frames(Peer& peer, std::string_view bytes);
  void deliver(Peer& peer, std::string_view bytes);
  void end_of_turn();
  void leave(Peer& peer);
  void watch(Peer& peer, std::uint32_t events);

  FloorOptions options_;
  int listener_ = -1;
  int epoll_ = -1;
  std::unique_ptr<SSL_CTX, FreeTls> tls_;
  std::vector<char> input_;
  std::string head_;   ///< Of every frame we send.
  std::string frame_;  ///< The frame being sent.
  std::string echoes_;
  std::unordered_map<std::uint32_t, Room> rooms_;
  std::vector<Room*> touched_;
};

}  // namespace jamsocket::bench
