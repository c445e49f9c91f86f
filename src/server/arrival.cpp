#include "server/arrival.hpp"

#include <utility>

#include "http/response.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kStepsForTurn{2};
constexpr int kStepsForTurnMax = 64;

}  // namespace

Arrival::Arrival(std::uint64_t id, io::Stream stream, const io::PeerAddress& peer, session::Origin origin,
                 SteadyTime deadline, Arrivals& list, ArrivalHost& host)
    : id_(id),
      list_(list),
      host_(host),
      stream_(std::move(stream)),
      peer_(peer),
      origin_(std::move(origin)),
      deadline_at_(deadline) {}

void Arrival::start() {
  host_.timers().schedule(deadline_, deadline_at_);
  watch(EPOLLIN);
}

// The event loop reports once and then waits to be asked again: until its step is made there is nothing to see.
void Arrival::on_ready(std::uint32_t) {
  if (!is_over_) {
    list_.ask_for_step(*this);
  }
}

void Arrival::on_timer() {
  host_.limit_hit(Counter::HandshakeTimeouts, peer_);
  stream_.reset();
  drop();
}

void Arrival::step() {
  const std::span<char> buffer = host_.receive_buffer();
  const io::Stream::HandshakeStep step = stream_.handshake(buffer);
  unread_.append(buffer.data(), step.bytes);
  switch (step.state) {
    case io::Stream::Handshake::Done:
      finish();
      return;
    case io::Stream::Handshake::WantsToRead:
      watch(EPOLLIN);
      return;
    case io::Stream::Handshake::WantsToWrite:
      watch(EPOLLOUT);
      return;
    case io::Stream::Handshake::FailedByHttp:
      answer_plain_http();
      fail(step.reason);
      return;
    case io::Stream::Handshake::Failed:
      fail(step.reason);
      return;
  }
}

// Best effort, past the stream, which speaks TLS.
void Arrival::answer_plain_http() {
  const http::Response answer = http::text_response(400, "This port speaks HTTPS: use https:// or wss://.");
  (void)stream_.socket().write(http::serialise(answer, {.after = http::AfterResponse::Close}));
}

void Arrival::fail(const char* reason) {
  if (stream_.asked_too_often()) {  // With what came right behind its handshake, which was good.
    host_.limit_hit(Counter::LimitKeyUpdates, peer_);
  } else {
    host_.counters().add(Counter::TlsHandshakesFailed);
  }
  host_.logger().debug("tls.handshake_failed", {{"reason", reason}});
  stream_.shut_down_writing();
  drop();
}

void Arrival::finish() {
  host_.counters().add(Counter::TlsHandshakes);
  is_over_ = true;
  deadline_.cancel();
  host_.arrived(std::move(stream_), peer_, std::move(origin_), deadline_at_, std::move(unread_));
  list_.retire(*this);
}

void Arrival::drop() {
  if (is_over_) {
    return;
  }
  is_over_ = true;
  deadline_.cancel();
  stream_.close();  // The event loop forgets it with that.
  host_.did_not_arrive();
  list_.retire(*this);
}

void Arrival::watch(std::uint32_t events) {
  const std::uint32_t once = events | EPOLLONESHOT;
  if (watched_) {
    host_.loop().change(stream_.socket(), once, *this);
  } else if (host_.loop().add(stream_.socket(), once, *this)) {
    watched_ = true;
  } else {
    drop();
  }
}

void Arrivals::begin(io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline) {
  if (arrivals_.size() >= at_once_max_) {
    host_.limit_hit(Counter::TlsCrowdedOut, peer);
    arrivals_.begin()->second->drop();
  }
  const std::uint64_t id = ++last_id_;
  auto made = std::make_unique<Arrival>(id, std::move(stream), peer, std::move(origin), deadline, *this, host_);
  Arrival& arrival = *made;
  arrivals_.emplace(id, std::move(made));
  arrival.start();
}

void Arrivals::run() {
  const SteadyTime began = clock_.steady();
  for (int i = 0; i < kStepsForTurnMax && !steps_.empty(); ++i) {
    const auto found = arrivals_.find(steps_.front());
    steps_.pop_front();
    if (found != arrivals_.end()) {
      found->second->step();
      if (clock_.steady() - began >= kStepsForTurn) {
        return;
      }
    }
  }
}

void Arrivals::drop_all() {
  while (!arrivals_.empty()) {
    arrivals_.begin()->second->drop();
  }
}

void Arrivals::retire(Arrival& arrival) {
  const auto found = arrivals_.find(arrival.id());
  retired_.push_back(std::move(found->second));
  arrivals_.erase(found);
}

}  // namespace jamsocket::server
