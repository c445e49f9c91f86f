// server/proxy_greeting.hpp
//
// A connection of a trusted proxy before anything else is said on it: it must begin with a header of the PROXY
// protocol.
//
// Takes the header off the socket and not a byte more: whoever comes next (TLS, HTTP) finds the connection as if the
// client itself had opened it. Thread: its shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/counters.hpp"
#include "io/event_loop.hpp"
#include "io/socket.hpp"
#include "io/timer_heap.hpp"

namespace jamsocket::server {

class ProxyGreeting;

/// What it needs of its shard.
class GreetingHost {
 public:
  virtual ~GreetingHost() = default;
  [[nodiscard]] virtual io::EventLoop& loop() = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  /// The header was read: `take_socket` is to be called. `client`: nobody's when the proxy speaks for itself.
  virtual void greeted(ProxyGreeting& greeting, const IpAddress& client) = 0;
  /// There was none, or a bad one, or not in time; the socket is closed. `limit`: it was beyond that one.
  virtual void not_greeted(ProxyGreeting& greeting, std::string_view reason, std::optional<Counter> limit) = 0;
};

class ProxyGreeting final : public io::EventHandler, public io::TimerTarget {
 public:
  ProxyGreeting(std::uint64_t id, io::Socket socket, const io::PeerAddress& peer, std::size_t header_bytes_max,
                GreetingHost& host);
  ProxyGreeting(const ProxyGreeting&) = delete;
  ProxyGreeting& operator=(const ProxyGreeting&) = delete;

  /// Begins to read. @param deadline  of the header, and of what follows it.
  void start(SteadyTime deadline);
  /// Gives the socket away, watched by nobody.
  [[nodiscard]] io::Socket take_socket();
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] const io::PeerAddress& peer() const { return peer_; }
  [[nodiscard]] SteadyTime deadline() const { return until_; }

  void on_ready(std::uint32_t events) override;
  void on_timer() override;

 private:
  void end(std::string_view reason, std::optional<Counter> limit = {});

  std::uint64_t id_;
  io::Socket socket_;
  io::PeerAddress peer_;
  std::size_t header_bytes_max_;
  GreetingHost& host_;
  std::string header_;  ///< What has been taken off the socket.
  io::TimerNode deadline_{*this};
  SteadyTime until_{};
};

}  // namespace jamsocket::server
