// The shard's door: who comes in, in whose name, and who has to go when memory runs short.

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.hpp"
#include "base/heap.hpp"
#include "server/shard.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kMemoryLook{250};
constexpr Milliseconds kSheddingPause{1'000};
// Of those for whom something waits, every so many-th goes at a time: the slowest.
constexpr std::size_t kShedDivisor = 8;

// What is counted as one client's; see IpAddress::subscriber.
std::string key_of(const IpAddress& address) {
  const IpAddress subscriber = address.subscriber();
  return {reinterpret_cast<const char*>(subscriber.bytes().data()), subscriber.bytes().size()};
}

}  // namespace

void Shard::listen(std::span<const io::Listener> listeners) {
  for (const io::Listener& listener : listeners) {
    acceptors_.push_back(std::make_unique<Acceptor>(listener, *this));
  }
  if (number_ == 0 && shared_.memory.is_on()) {
    watch_memory();
  }
}

void Shard::stop_accepting() {
  for (const auto& acceptor : acceptors_) {
    acceptor->stop();
  }
}

void Shard::accepted(io::Socket socket, const io::PeerAddress& peer) {
  if (shared_.memory.level() != MemoryWatch::Level::Calm) [[unlikely]] {
    limit_hit(Counter::LimitMemoryHigh, std::string_view());
    refuse(socket, 503, kShortOfMemory);
    return;
  }
  if (shared_.connection_count.fetch_add(1, std::memory_order_relaxed) >= shared_.settings.connections_max) {
    shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
    limit_hit(Counter::ConnectionsRefused, peer.text());
    refuse(socket, 503, "The server has as many connections as it may have; try later.");
    return;
  }
  const SteadyTime deadline = now_ + shared_.settings.http.request_timeout;
  const ProxySettings& proxies = shared_.settings.proxies;
  if (!proxies.header_is_required || !proxies.trusts(peer)) [[likely]] {
    admit(std::move(socket), peer, peer.ip(), deadline);
    return;
  }
  const std::uint64_t id = ++last_connection_;
  ProxyGreeting& greeting =
      *greetings_
           .emplace(id, std::make_unique<ProxyGreeting>(id, std::move(socket), peer, proxies.header_bytes_max, *this))
           .first->second;
  greeting.start(deadline);
}

void Shard::greeted(ProxyGreeting& greeting, const IpAddress& client) {
  io::Socket socket = greeting.take_socket();
  admit(std::move(socket), greeting.peer(), client.is_known() ? client : greeting.peer().ip(), greeting.deadline());
  retire(greeting);
}

void Shard::not_greeted(ProxyGreeting& greeting, std::string_view reason, std::optional<Counter> limit) {
  shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
  counters_.add(Counter::ProxyHeadersRefused);
  shared_.limit_log.say(Counter::ProxyHeadersRefused, "proxy.header_refused", now_,
                        {{"proxy", greeting.peer().text()}, {"reason", reason}});
  if (limit) {
    limit_hit(*limit, greeting.peer());
  }
  retire(greeting);
}

void Shard::retire(ProxyGreeting& greeting) {
  const auto found = greetings_.find(greeting.id());
  JAM_CHECK(found != greetings_.end());
  retired_greetings_.push_back(std::move(found->second));
  greetings_.erase(found);
}

void Shard::drop_greetings() {
  while (!greetings_.empty()) {
    ProxyGreeting& greeting = *greetings_.begin()->second;
    (void)greeting.take_socket();
    shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
    retire(greeting);
  }
}

void Shard::admit(io::Socket socket, const io::PeerAddress& peer, const IpAddress& client, SteadyTime deadline) {
  session::Origin origin{.address = client, .place = {}};
  if (!speaks_for_others(peer)) {
    auto place = place_for(client);
    if (!place) {
      shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
      refuse(socket, 429, kTooManyOfAddress);
      return;
    }
    origin.place = *std::move(place);
  }
  if (tls_ == nullptr) {
    begin_http(io::Stream(std::move(socket)), session::Watched::No, peer, std::move(origin), deadline, {});
  } else {
    arrivals_.begin(io::Stream(std::move(socket), tls_, shared_.settings.tls.limits), peer, std::move(origin),
                    deadline);
  }
}

void Shard::arrived(io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline,
                    std::string unread) {
  begin_http(std::move(stream), session::Watched::Yes, peer, std::move(origin), deadline, std::move(unread));
}

void Shard::did_not_arrive() { shared_.connection_count.fetch_sub(1, std::memory_order_relaxed); }

void Shard::begin_http(io::Stream stream, session::Watched watched, const io::PeerAddress& peer, session::Origin origin,
                       SteadyTime deadline, std::string unread) {
  const std::uint64_t id = ++last_connection_;
  auto connection = std::make_unique<HttpConnection>(id, std::move(stream), watched, peer, std::move(origin), *this);
  HttpConnection& started = *connection;
  connections_.emplace(id, std::move(connection));
  started.start(deadline, std::move(unread));
}

// Best effort: the request was not even read. Who expects TLS would not understand it.
void Shard::refuse(const io::Socket& socket, int status, std::string_view reason) {
  if (tls_ != nullptr) {
    return;
  }
  (void)socket.write(http::serialise(http::text_response(status, reason), {.after = http::AfterResponse::Close}));
}

void Shard::limit_hit(Counter limit, std::string_view who) {
  counters_.add(limit);
  shared_.limit_log.hit(limit, who, now_);
}

void Shard::limit_hit(Counter limit, const HttpConnection& connection) {
  const IpAddress& client = connection.origin().address;
  limit_hit(limit, client.is_known() ? client.text() : connection.peer().text());
}

void Shard::limit_hit(Counter limit, const io::PeerAddress& peer) { limit_hit(limit, peer.text()); }

void Shard::limit_hit(Counter limit, const room::Room& room) {
  counters_.add(limit);
  shared_.limit_log.say(limit, "limit.hit", now_,
                        {{"limit", limit_of(limit)}, {"service", room.service_name()}, {"room", room.id()}});
}

// Of a room that is not there now.
void Shard::limit_hit(Counter limit, const HostedService& service, std::string_view room_id) {
  counters_.add(limit);
  shared_.limit_log.say(limit, "limit.hit", now_,
                        {{"limit", limit_of(limit)}, {"service", service.service->name()}, {"room", room_id}});
}

void Shard::limit_hit(Counter limit, const session::ClientSession& session) {
  counters_.add(limit);
  shared_.limit_log.hit(limit, session.remote_address(), now_);
}

bool Shard::speaks_for_others(const io::PeerAddress& peer) const {
  return shared_.settings.proxies.forwarded && shared_.settings.proxies.trusts(peer);
}

http::ForwardedFor Shard::client_behind(const http::Request& request) const {
  const ProxySettings& proxies = shared_.settings.proxies;
  const std::string_view name =
      *proxies.forwarded == http::ForwardedHeader::Forwarded ? "Forwarded" : "X-Forwarded-For";
  return http::forwarded_for(*proxies.forwarded, request.header_joined(name),
                             [&proxies](const IpAddress& address) { return proxies.trusts(address); });
}

// nullopt: the address has as many as it may. Where nobody counts, or nobody is known, a place that is none.
std::optional<KeyedLimit::Place> Shard::place_for(const IpAddress& client) {
  if (shared_.connections_by_address == nullptr || !client.is_known()) [[likely]] {
    return KeyedLimit::Place();
  }
  auto place = shared_.connections_by_address->take(key_of(client), now_);
  if (!place) {
    limit_hit(place.error() == KeyedLimit::Refusal::TooMany ? Counter::LimitConnectionsPerAddress
                                                            : Counter::LimitConnectionRate,
              client.text());
    return std::nullopt;
  }
  return *std::move(place);
}

// Who signs for one service has no say in another's: its subjects are others.
bool Shard::take_subjects_place(const RoomName& name, session::ClientSession& session, std::string_view subject) {
  if (shared_.connections_by_subject == nullptr || subject.empty()) [[likely]] {
    return true;
  }
  std::string key(name.service);
  key += '\n';
  key += subject;
  auto place = shared_.connections_by_subject->take(key, now_);
  if (!place) {
    limit_hit(Counter::LimitConnectionsPerSubject, session);
    return false;
  }
  session.keep(*std::move(place));
  return true;
}

bool Shard::may_make_room(const IpAddress& maker) {
  if (shared_.rooms_by_address == nullptr || !maker.is_known()) [[likely]] {
    return true;
  }
  const bool may = shared_.rooms_by_address->take(key_of(maker), now_).has_value();
  if (!may) {
    limit_hit(Counter::LimitRoomRate, maker.text());
  }
  return may;
}

void Shard::watch_memory() {
  const MemoryWatch::Level level = shared_.memory.look();
  if (level != MemoryWatch::Level::Calm && now_ >= next_shedding_) {
    next_shedding_ = now_ + kSheddingPause;
    for (const auto& shard : shared_.shards) {
      shard->post([level](Shard& self) {
        if (level == MemoryWatch::Level::Critical) {
          self.shed_slowest();
        }
      });
    }
    return_freed_memory();  // What others freed since; else it would count for ever.
  }
  if (phase_ == Phase::Running) {
    timers_.schedule(memory_timer_.node(), now_ + kMemoryLook);
  }
}

void Shard::shed_slowest() {
  std::vector<session::ClientSession*> slow;
  for (const auto& session : sessions_) {
    if (session->is_open() && session->queued_bytes() > 0) {
      slow.push_back(session.get());
    }
  }
  const std::size_t count = std::min(slow.size(), slow.size() / kShedDivisor + 1);
  std::ranges::nth_element(slow, slow.begin() + static_cast<std::ptrdiff_t>(count), std::greater{},
                           &session::ClientSession::queued_bytes);
  slow.resize(count);
  for (session::ClientSession* session : slow) {
    limit_hit(Counter::LimitMemoryCritical, *session);
    session->leave_and_close(ws::close_code::kTryLater,
                             "the server is short of memory, and too much waits for this client");
  }
}

}  // namespace jamsocket::server
