// server/acceptor.hpp
//
// Takes connections from the listener for one shard, a bounded number a turn, and rests when the
// process is out of descriptors instead of spinning.

#pragma once

#include <cstdint>

#include "base/counters.hpp"
#include "base/log.hpp"
#include "io/event_loop.hpp"
#include "io/listener.hpp"
#include "io/timer_heap.hpp"

namespace jamsocket::server {

class AcceptHost {
 public:
  virtual ~AcceptHost() = default;
  [[nodiscard]] virtual io::EventLoop& loop() = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  [[nodiscard]] virtual Counters& counters() = 0;
  [[nodiscard]] virtual Logger& logger() = 0;
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  virtual void accepted(io::Socket socket, const io::PeerAddress& peer) = 0;
};

class Acceptor final : public io::EventHandler {
 public:
  /// `listener` must outlive the acceptor.
  Acceptor(const io::Listener& listener, AcceptHost& host);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void on_ready(std::uint32_t events) override;

  /// Accepts no more. Not the same as destroying it: an event for it may be among those of this turn.
  void stop();

 private:
  int batch();
  void watch();
  void rest();

  const io::Listener& listener_;
  AcceptHost& host_;
  bool watched_ = false;
  bool stopped_ = false;
  int batch_ = 1;
  std::uint64_t last_turn_ = 0;
  SteadyTime next_warning_{};
  io::CallbackTimer rested_{[this] { watch(); }};
};

}  // namespace jamsocket::server
