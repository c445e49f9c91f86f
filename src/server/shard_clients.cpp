// The shard's connections and rooms: accepting, routing, joining, making rooms, draining.

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "server/shard.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kGenerateAttempts = 16;
// A drain closes few clients at once and many in batches, so that they do not all reconnect together.
constexpr std::size_t kDrainBatchMin = 64;
constexpr std::size_t kDrainBatches = 20;
constexpr Milliseconds kDrainPause{50};
// What nobody waits for is handed to the store after so long, or when there is so much.
constexpr Milliseconds kJournalPause{10};
constexpr std::size_t kJournalBytes = std::size_t{256} << 10U;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

HttpConnection::Then to_then(Answer::Then then) {
  return then == Answer::Then::Close ? HttpConnection::Then::Close : HttpConnection::Then::KeepAlive;
}

}  // namespace

void Shard::listen(const io::Listener& listener) { acceptor_ = std::make_unique<Acceptor>(listener, *this); }

void Shard::stop_accepting() {
  if (acceptor_ != nullptr) {
    acceptor_->stop();
  }
}

void Shard::accepted(io::Socket socket, const io::PeerAddress& peer) {
  if (shared_.connection_count.fetch_add(1, std::memory_order_relaxed) >= shared_.settings.connections_max) {
    shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
    counters_.add(Counter::ConnectionsRefused);
    const std::string answer =
        http::serialise(http::text_response(503, "The server has as many connections as it may have; try later."),
                        {.after = http::AfterResponse::Close});
    // Best effort: the request was not even read.
    (void)socket.write(answer);
    return;
  }
  const std::uint64_t id = ++last_connection_;
  auto connection = std::make_unique<HttpConnection>(id, std::move(socket), peer, *this);
  HttpConnection& started = *connection;
  connections_.emplace(id, std::move(connection));
  started.start();
}

void Shard::route(HttpConnection& connection, const http::Request& request) {
  Decision decision = decide(request, connection.peer().text(), shared_.settings, shared_.files);
  std::visit(Overloaded{[&](Answer& answer) { connection.respond(std::move(answer.response), to_then(answer.then)); },
                        [&](MakeRoom& make) { make_room_for(connection.id(), std::move(make.room_id)); },
                        [&](GenerateRoom&) { generate_room_for(connection.id(), kGenerateAttempts); },
                        [&](JoinRoom& join) {
                          // The connection's place goes on to its session.
                          shared_.connection_count.fetch_add(1, std::memory_order_relaxed);
                          Shard& owner = owner_of(join.room_id);
                          session::Upgraded upgraded = connection.hand_over(
                              std::move(join.response), &owner == this ? session::Watched::Yes : session::Watched::No);
                          upgraded.deflate = join.deflate;
                          if (&owner == this) {
                            this->join(join.room_id, std::move(upgraded), std::move(join.info));
                            return;
                          }
                          owner.post([room_id = std::move(join.room_id), upgraded = std::move(upgraded),
                                      info = std::move(join.info)](Shard& shard) mutable {
                            shard.join(room_id, std::move(upgraded), std::move(info));
                          });
                        }},
             decision);
}

void Shard::answer(std::uint64_t connection, const http::Response& response) {
  if (const auto found = connections_.find(connection); found != connections_.end()) {
    found->second->respond(whole_response(response));
  }
}

Shard& Shard::owner_of(std::string_view room_id) {
  return *shared_.shards[shared_.room_hash(room_id) % shared_.shards.size()];
}

void Shard::join(const std::string& room_id, session::Upgraded upgraded, std::unique_ptr<service::ConnectInfo> info) {
  auto made = std::make_unique<session::ClientSession>(std::move(upgraded), *this);
  session::ClientSession& session = *made;
  session.index = static_cast<std::uint32_t>(sessions_.size());
  if (sessions_.empty()) {
    next_sweep_ = now_;
  }
  sessions_.push_back(std::move(made));
  if (phase_ != Phase::Running) {
    session.reject(503, kStopping);
    return;
  }
  room::Room* room = rooms_.find(room_id);
  const bool joining_makes = shared_.settings.strategy.joining_makes_rooms();
  const bool may_be_stored = shared_.settings.room.durability != room::Durability::None;
  if (room == nullptr && !joining_makes && !may_be_stored) {
    session.reject(404, kRoomUnknown);
    return;
  }
  if (room == nullptr) {
    room = make(room_id, joining_makes ? room::WhenMissing::Make : room::WhenMissing::Refuse);
  }
  if (room == nullptr) {
    session.reject(503, too_many_rooms(shared_.settings.rooms_max).body);
  } else if (room->is_full()) {
    session.reject(503, kRoomFull);
  } else if (const auto refusal = room->refusal()) {
    session.reject(503, *refusal);
  } else {
    session.join(*room, std::move(info));
  }
}

room::Room* Shard::make(const std::string& room_id, room::WhenMissing when_missing) {
  room::Room* room = rooms_.make(room_id, shared_.service, shared_.settings.room, *this);
  if (room == nullptr) {
    counters_.add(Counter::RoomsRefused);
  } else if (shared_.settings.room.durability != room::Durability::None) {
    room->load(when_missing);
  }
  return room;
}

void Shard::make_room(const std::string& room_id, Reply reply) {
  if (phase_ != Phase::Running) {
    reply(http::text_response(503, kStopping));
    return;
  }
  const bool is_durable = shared_.settings.room.durability != room::Durability::None;
  room::Room* room = rooms_.find(room_id);
  if (room != nullptr && !is_durable) {
    reply(room_exists());
    return;
  }
  if (room == nullptr) {
    room = make(room_id, room::WhenMissing::Create);
  }
  if (room == nullptr) {
    reply(too_many_rooms(shared_.settings.rooms_max));
  } else if (!is_durable) {
    room->expect_clients();
    reply(room_made(room_id));
  } else {
    room->create([room_id, reply = std::move(reply)](room::Created created) mutable {
      reply(created == room::Created::Yes             ? room_made(room_id)
            : created == room::Created::ExistsAlready ? room_exists()
                                                      : http::text_response(503, kRoomUnreadable));
    });
  }
}

void Shard::make_room_for(std::uint64_t connection, std::string room_id) {
  Shard& owner = owner_of(room_id);
  owner.post([connection, room_id = std::move(room_id), &asker = *this](Shard& shard) {
    shard.make_room(room_id, [connection, &asker](http::Response response) {
      asker.post([connection, response = std::move(response)](Shard& self) { self.answer(connection, response); });
    });
  });
}

void Shard::generate_room_for(std::uint64_t connection, unsigned attempts_left) {
  std::string room_id = shared_.settings.strategy.generate_id();
  Shard& owner = owner_of(room_id);
  owner.post([connection, room_id = std::move(room_id), attempts_left, &asker = *this](Shard& shard) {
    shard.make_room(room_id, [connection, attempts_left, &asker](http::Response response) {
      asker.post([connection, attempts_left, response = std::move(response)](Shard& self) {
        if (response.status == 409 && attempts_left > 1) {
          self.generate_room_for(connection, attempts_left - 1);
        } else if (response.status == 409) {
          self.answer(connection, http::text_response(503, "No free room id was found; use a longer room strategy."));
        } else {
          self.answer(connection, response);
        }
      });
    });
  });
}

void Shard::flush_journal() {
  // What nobody waits for may wait for more of it to come.
  const bool is_async = shared_.settings.room.durability == room::Durability::Async;
  if (!is_async || journal_->open_bytes() >= kJournalBytes || phase_ != Phase::Running) {
    journal_->flush();
  } else if (journal_->has_open() && !journal_timer_.node().is_scheduled()) {
    timers_.schedule(journal_timer_.node(), now_ + kJournalPause);
  }
}

void Shard::wake_at(std::string room_id, std::int64_t unix_ms) {
  sleepers_.emplace(unix_ms, std::move(room_id));
  const Milliseconds left{std::max<std::int64_t>(sleepers_.begin()->first - unix_ms_, 0)};
  timers_.schedule(sleepers_timer_.node(), now_ + left);
}

void Shard::wake_sleepers() {
  while (!sleepers_.empty() && sleepers_.begin()->first <= unix_ms_ && phase_ == Phase::Running) {
    const std::string room_id = std::move(sleepers_.begin()->second);
    sleepers_.erase(sleepers_.begin());
    if (rooms_.find(room_id) == nullptr) {
      make(room_id, room::WhenMissing::Refuse);  // Over the limit of rooms it wakes with its next client.
    }
  }
  if (!sleepers_.empty()) {
    const Milliseconds left{std::max<std::int64_t>(sleepers_.begin()->first - unix_ms_, 1)};
    timers_.schedule(sleepers_timer_.node(), now_ + left);
  }
}

void Shard::drain() {
  if (phase_ != Phase::Running) {
    return;
  }
  phase_ = Phase::Draining;
  stop_accepting();
  std::vector<HttpConnection*> connections;
  for (const auto& [id, connection] : connections_) {
    connections.push_back(connection.get());
  }
  for (HttpConnection* connection : connections) {
    connection->drain();
  }
  timers_.schedule(drain_deadline_.node(), now_ + shared_.settings.drain_timeout);
  close_some_clients();
}

void Shard::close_some_clients() {
  // From the back: a session that goes at once leaves the indices before it as they are.
  std::size_t left = std::max(kDrainBatchMin, sessions_.size() / kDrainBatches + 1);
  std::size_t open = 0;
  for (std::size_t i = sessions_.size(); i-- > 0;) {
    if (!sessions_[i]->is_open()) {
      continue;
    }
    if (left == 0) {
      ++open;
      continue;
    }
    --left;
    sessions_[i]->leave_and_close(ws::close_code::kRestart, "the server is stopping");
  }
  if (open > 0) {
    timers_.schedule(drain_timer_.node(), now_ + kDrainPause);
  }
}

void Shard::check_drained() {
  const bool clients_are_gone = sessions_.empty() && connections_.empty();
  const bool rooms_are_done = (runnable_.empty() && waiting_for_slow_.empty()) || phase_ == Phase::Ending;
  const bool all_is_kept = !journal_ || journal_->is_idle() || phase_ == Phase::Ending;
  if (phase_ != Phase::Running && clients_are_gone && rooms_are_done && all_is_kept && slow_calls_.empty()) {
    phase_ = Phase::Ended;
  }
}

void Shard::end() {
  if (phase_ == Phase::Ended) {
    return;
  }
  stop_accepting();
  while (!sessions_.empty()) {
    sessions_.back()->drop();
  }
  while (!connections_.empty()) {
    connections_.begin()->second->drop();
  }
  phase_ = Phase::Ending;
  for (const auto& call : slow_calls_) {
    call->must_end.store(true, std::memory_order_relaxed);
  }
}

}  // namespace jamsocket::server
