// floor/floor.hpp
//
// What is left of a WebSocket server when all logic is taken out: epoll and the system calls.
//
// The upgrade's answer is canned (right only for RFC 6455's example key, which wsload sends), frames
// are assumed to be of one known size, and a message is never looked at: it is unmasked and written
// out again. Costs are judged as a ratio to this program's, measured in the same round.

#pragma once

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
};

class Floor {
 public:
  explicit Floor(const FloorOptions& options);
  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;
  /// Serves until the process is ended.
  [[noreturn]] void run();

 private:
  struct Room;
  struct Peer {
    int fd = -1;
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
  std::vector<char> input_;
  std::string head_;   ///< Of every frame we send.
  std::string frame_;  ///< The frame being sent.
  std::string echoes_;
  std::unordered_map<std::uint32_t, Room> rooms_;
  std::vector<Room*> touched_;
};

}  // namespace jamsocket::bench
