// server/arrival.hpp
//
// A connection before its first request, when something comes before that: TLS's handshake. And a shard's list of
// them: how many there may be, and how much of a turn they may take.
//
// A step of a handshake can cost a signature. So a step is not made when bytes come, but when it is its turn: first
// come, first served, a bounded time a turn. Beyond the limit the oldest goes: a peer that means it is done within a
// few round trips, one that trickles stays.
//
// Thread: the shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "base/log.hpp"
#include "io/event_loop.hpp"
#include "io/stream.hpp"
#include "io/timer_heap.hpp"
#include "session/client_session.hpp"

namespace jamsocket::server {

/// What arrivals need of their shard.
class ArrivalHost {
 public:
  virtual ~ArrivalHost() = default;
  [[nodiscard]] virtual std::span<char> receive_buffer() = 0;
  [[nodiscard]] virtual io::EventLoop& loop() = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  [[nodiscard]] virtual Counters& counters() = 0;
  [[nodiscard]] virtual Logger& logger() = 0;
  /// The connection is ready for its first request, of which `unread` has come; the event loop watches its socket for
  /// nothing at the moment.
  virtual void arrived(io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline,
                       std::string unread) = 0;
  /// The connection is over.
  virtual void did_not_arrive() = 0;
  /// Counts it, and says so in the log at most once a second.
  virtual void limit_hit(Counter limit, const io::PeerAddress& peer) = 0;
};

class Arrivals;

class Arrival final : public io::EventHandler, public io::TimerTarget {
 public:
  Arrival(std::uint64_t id, io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline,
          Arrivals& list, ArrivalHost& host);
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;
  ~Arrival() override = default;

  void start();
  /// Goes on, as far as the peer lets it.
  void step();
  void drop();
  [[nodiscard]] std::uint64_t id() const { return id_; }

  void on_ready(std::uint32_t events) override;
  void on_timer() override;

 private:
  void answer_plain_http();
  void fail(const char* reason);
  void finish();
  void watch(std::uint32_t events);

  std::uint64_t id_;
  Arrivals& list_;
  ArrivalHost& host_;
  io::Stream stream_;
  io::PeerAddress peer_;
  session::Origin origin_;
  SteadyTime deadline_at_;
  io::TimerNode deadline_{*this};
  std::string unread_;  ///< Plain bytes that came with the last of the handshake.
  bool watched_ = false;
  bool is_over_ = false;
};

class Arrivals {
 public:
  Arrivals(ArrivalHost& host, const Clock& clock, std::size_t at_once_max)
      : host_(host), clock_(clock), at_once_max_(at_once_max) {}

  /// A connection of which nothing was read. Drops the oldest one if there are too many.
  void begin(io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline);
  /// Makes the steps that wait, for a bounded time.
  void run();
  /// Whether there are steps that wait.
  [[nodiscard]] bool has_steps() const { return !steps_.empty(); }
  [[nodiscard]] std::size_t size() const { return arrivals_.size(); }
  void drop_all();
  /// Destroys what is over. Not while events of this turn may name it.
  void destroy_retired() { retired_.clear(); }

  // For Arrival:
  void ask_for_step(const Arrival& arrival) { steps_.push_back(arrival.id()); }
  void retire(Arrival& arrival);

 private:
  ArrivalHost& host_;
  const Clock& clock_;
  const std::size_t at_once_max_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Arrival>> arrivals_;  ///< The oldest first.
  std::deque<std::uint64_t> steps_;
  std::vector<std::unique_ptr<Arrival>> retired_;
};

}  // namespace jamsocket::server
