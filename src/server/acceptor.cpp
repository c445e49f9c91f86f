#include "server/acceptor.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace jamsocket::server {
namespace {
// Rooms go on while a crowd arrives.
constexpr int kAcceptsPerTurn = 64;
constexpr int kCrowdGrows = 4;
constexpr Milliseconds kRest{100};
constexpr std::chrono::seconds kWarningEvery{1};
}  // namespace

Acceptor::Acceptor(const io::Listener& listener, AcceptHost& host) : listener_(listener), host_(host) { watch(); }

Acceptor::~Acceptor() { stop(); }

void Acceptor::stop() {
  stopped_ = true;
  rested_.node().cancel();
  if (watched_) {
    watched_ = false;
    host_.loop().remove(listener_.socket());
  }
}

// A lone connection is taken alone: to look for another costs a call that finds none. Where there are more, the next
// turn comes here again at once, and takes more of them.
int Acceptor::batch() {
  const std::uint64_t turn = host_.counters().get(Counter::LoopTurns);
  batch_ = turn == last_turn_ + 1 ? std::min(batch_ * kCrowdGrows, kAcceptsPerTurn) : 1;
  last_turn_ = turn;
  return batch_;
}

void Acceptor::on_ready(std::uint32_t) {
  const int most = batch();
  for (int i = 0; i < most && !stopped_; ++i) {
    io::Accepted next = listener_.accept();
    switch (next.status) {
      case io::Accepted::Status::Connection:
        host_.counters().add(Counter::ConnectionsAccepted);
        host_.accepted(std::move(next.socket), next.peer);
        break;
      case io::Accepted::Status::Gone:
        host_.counters().add(Counter::AcceptErrors);
        break;
      case io::Accepted::Status::Nothing:
        return;
      case io::Accepted::Status::OutOfResources:
        host_.counters().add(Counter::AcceptErrors);
        rest();
        return;
    }
  }
}

void Acceptor::watch() {
  // Exclusive: one shard wakes for a connection, not all of them.
  if (host_.loop().add(listener_.socket(), EPOLLIN | EPOLLEXCLUSIVE, *this)) {
    watched_ = true;
  } else {
    rest();
  }
}

void Acceptor::rest() {
  if (watched_) {
    // A shortage lasts for many rests: a line a second is enough of it.
    if (const SteadyTime now = host_.steady_now(); now >= next_warning_) {
      next_warning_ = now + kWarningEvery;
      host_.logger().warn("server.accept_paused",
                          {{"reason", "out of descriptors or memory"}, {"pause_ms", kRest.count()}});
    }
    watched_ = false;
    host_.loop().remove(listener_.socket());
  }
  host_.timers().schedule(rested_.node(), host_.steady_now() + kRest);
}

}  // namespace jamsocket::server
