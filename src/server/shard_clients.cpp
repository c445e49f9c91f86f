// The shard's connections and rooms: routing, joining, making rooms, draining.

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
// A stored room whose timer is due while there are as many rooms as there may be.
constexpr Milliseconds kFullPause{5000};
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

void Shard::route(HttpConnection& connection, const http::Request& request) {
  IpAddress client = connection.origin().address;
  if (speaks_for_others(connection.peer())) [[unlikely]] {
    const auto found = client_behind(request);
    if (found.status == http::ForwardedFor::Status::Garbage) {
      connection.respond(whole_response(http::text_response(400, kForwardedGarbage)), HttpConnection::Then::Close);
      return;
    }
    client = found.status == http::ForwardedFor::Status::Known ? found.client : client;
  }
  const std::string remote_address = client.is_known() ? client.text() : connection.peer().text();
  Decision decision = decide(request, remote_address, shared_.settings, shared_.files, shared_.services.current());
  std::visit(Overloaded{[&](Answer& answer) {
                          if (answer.refused_as) [[unlikely]] {
                            note_refusal(*answer.refused_as, remote_address);
                          }
                          connection.respond(std::move(answer.response), to_then(answer.then));
                        },
                        [&](MakeRoom& make) {
                          if (may_ask(connection, remote_address, make.service, make.room_id, make.credential)) {
                            make.maker = client;
                            make_room_for(connection.id(), std::move(make));
                          }
                        },
                        [&](GenerateRoom& generate) {
                          if (may_ask(connection, remote_address, generate.service, {}, generate.credential)) {
                            generate.maker = client;
                            generate_room_for(connection.id(), std::move(generate), kGenerateAttempts);
                          }
                        },
                        [&](IssueTicket& wanted) { issue_ticket_for(connection, remote_address, std::move(wanted)); },
                        [&](JoinRoom& join) {
                          if (may_join(connection, join)) {
                            take_upgrade(connection, std::move(join), client);
                          }
                        }},
             decision);
}

// Counted each time, logged once a second for each kind.
void Shard::note_refusal(Counter kind, const std::string& remote_address) {
  if (!limit_of(kind).empty()) {
    return limit_hit(kind, remote_address);
  }
  counters_.add(kind);
  shared_.limit_log.say(
      kind, "server.refused", now_,
      {{"reason", kCounterInfo[static_cast<std::size_t>(kind)].help}, {"remote_address", remote_address}});
}

void Shard::take_upgrade(HttpConnection& connection, JoinRoom join, const IpAddress& client) {
  session::Origin origin = connection.take_origin();
  const bool is_told = client != connection.peer().ip();
  if (is_told && speaks_for_others(connection.peer())) {
    auto place = place_for(client);
    if (!place) {
      connection.respond(whole_response(http::text_response(429, kTooManyOfAddress)), HttpConnection::Then::Close);
      return;
    }
    origin = {.address = client, .place = *std::move(place)};
  }
  // The connection's place goes on to its session.
  shared_.connection_count.fetch_add(1, std::memory_order_relaxed);
  Shard& owner = owner_of({.service = join.service, .id = join.room_id});
  session::Upgraded upgraded =
      connection.hand_over(std::move(join.response), &owner == this ? session::Watched::Yes : session::Watched::No);
  upgraded.deflate = join.deflate;
  if (is_told || origin.place.is_held() || shared_.rooms_by_address != nullptr) {
    upgraded.origin = std::make_unique<session::Origin>(std::move(origin));
  }
  if (&owner == this) {
    this->join({.service = join.service, .id = join.room_id}, std::move(upgraded), std::move(join.info),
               std::move(join.admission));
    return;
  }
  owner.post([service = std::move(join.service), room_id = std::move(join.room_id), upgraded = std::move(upgraded),
              info = std::move(join.info), admission = std::move(join.admission)](Shard& shard) mutable {
    shard.join({.service = service, .id = room_id}, std::move(upgraded), std::move(info), std::move(admission));
  });
}

void Shard::answer(std::uint64_t connection, const http::Response& response) {
  if (const auto found = connections_.find(connection); found != connections_.end()) {
    found->second->respond(whole_response(response));
  }
}

Shard& Shard::owner_of(const RoomName& name) {
  return *shared_.shards[shared_.room_hash(name) % shared_.shards.size()];
}

void Shard::join(const RoomName& name, session::Upgraded upgraded, std::unique_ptr<service::ConnectInfo> info,
                 Admission admission) {
  admission.maker = upgraded.origin != nullptr ? upgraded.origin->address : IpAddress();
  auto made = session::ClientSession::make(std::move(upgraded), *this);
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
  const HostedServicePtr service = shared_.services.current().find(name.service);
  if (service == nullptr) {
    session.reject(404, kServiceUnknown);
    return;
  }
  if (admission.awaits_token) [[unlikely]] {
    await_token(name, session, std::move(info), service->settings.tokens);
    return;
  }
  if (admission.ticket && !use_ticket(name, admission, *info)) [[unlikely]] {
    note_refusal(Counter::TokensRefused, info->remote_address);
    session.reject(401, kTicketRefused);
    return;
  }
  let_in(name, service, session, std::move(info), admission);
}

void Shard::let_in(const RoomName& name, const HostedServicePtr& service, session::ClientSession& session,
                   std::unique_ptr<service::ConnectInfo> info, const Admission& admission) {
  if (admission.expires_ms != 0) {
    session.expire_in(Milliseconds{std::max<std::int64_t>(admission.expires_ms - unix_ms_, 0)});
  }
  if (!take_subjects_place(name, session, info->subject)) [[unlikely]] {
    session.reject(429, kTooManyOfSubject);
    return;
  }
  if (const Milliseconds rest = rest_of(name); rest > 0ms) [[unlikely]] {
    limit_hit(Counter::ClientsTurnedAway, *service, name.id);
    session.turn_away(ws::close_code::kTryLater, room_rests(rest));
    return;
  }
  if (is_taken_out(name)) [[unlikely]] {
    counters_.add(Counter::ClientsTurnedAway);
    session.turn_away(ws::close_code::kTryLater, kRoomTakenOut);
    return;
  }
  join_in(name, service, session, std::move(info), admission);
}

void Shard::join_in(const RoomName& name, const HostedServicePtr& service, session::ClientSession& session,
                    std::unique_ptr<service::ConnectInfo> info, const Admission& admission) {
  room::Room* room = find_room(name);
  const bool joining_makes = service->settings.strategy.joining_makes_rooms();
  const bool may_be_stored = service->settings.room.durability != room::Durability::None;
  if (room == nullptr && !joining_makes && !may_be_stored) {
    session.reject(404, kRoomUnknown);
    return;
  }
  if (room == nullptr) {
    if (!may_make_room(admission.maker)) {
      session.reject(429, kTooManyRoomsOfAddress);
      return;
    }
    room = make(name, service, joining_makes ? room::WhenMissing::Make : room::WhenMissing::Refuse);
  }
  if (room == nullptr) {
    session.reject(503, too_many_rooms(shared_.settings, *service).body);
  } else if (!rooms_.is_of(name, *service)) {
    session.reject(503, kServiceRemoved);  // Of one that had this name before, and not yet ended.
  } else if (room->is_full() && !room->expects(info->subject, admission.resume)) {
    limit_hit(Counter::LimitClientsPerRoom, *room);
    session.reject(503, kRoomFull);
  } else if (const auto refusal = room->refusal()) {
    limit_hit(journal_ && journal_->is_full() ? Counter::DiskFull : Counter::ClientsTurnedAway, *room);
    session.turn_away(ws::close_code::kTryLater, *refusal);
  } else {
    session.join(*room, std::move(info), admission.resume);
  }
}

room::Room* Shard::make(const RoomName& name, const HostedServicePtr& service, room::WhenMissing when_missing) {
  room::Room* const room = rooms_.make(service, std::string(name.id), *this);
  if (room == nullptr) {
    const bool server_is_full = shared_.room_count.load() >= shared_.settings.rooms_max;
    counters_.add(Counter::RoomsRefused);
    limit_hit(server_is_full ? Counter::LimitRooms : Counter::LimitRoomsPerService, std::string_view());
    return nullptr;
  }
  if (!failing_rooms_.none()) {
    room->slow_until = failing_rooms_.slow_until(name);
  }
  if (service->settings.room.durability != room::Durability::None) {
    room->load(when_missing);
  }
  return room;
}

room::Room* Shard::find_room(const RoomName& name) {
  if (room::Room* const room = rooms_.find(name)) {
    return room;
  }
  const room::RoomAsleep* const asleep = rooms_.find_asleep(name);
  return asleep == nullptr ? nullptr : &wake_room(*asleep);
}

bool Shard::forget_asleep(room::RoomAsleep& asleep, ClientId client) {
  if (phase_ == Phase::Running) {
    return false;
  }
  rooms_.forget_asleep(asleep, client);
  return true;
}

room::Room& Shard::wake_room(const room::RoomAsleep& asleep) {
  if (asleep.timer_ms != 0) {
    sleepers_.erase(
        {.due_ms = asleep.timer_ms, .service = std::string(asleep.service_path), .room_id = std::string(asleep.id)});
  }
  return rooms_.wake(asleep, *this);
}

Milliseconds Shard::rest_of(const RoomName& name) const {
  return failing_rooms_.none() ? 0ms : failing_rooms_.rests_for(name, now_);
}

void Shard::make_room(const RoomName& name, const IpAddress& maker, Reply reply) {
  if (phase_ != Phase::Running) {
    reply(http::text_response(503, kStopping));
    return;
  }
  const HostedServicePtr service = shared_.services.current().find(name.service);
  if (service == nullptr) {
    reply(http::text_response(404, kServiceUnknown));
    return;
  }
  const bool is_durable = service->settings.room.durability != room::Durability::None;
  room::Room* room = find_room(name);
  if (room != nullptr && !is_durable) {
    reply(room_exists());
    return;
  }
  if (const Milliseconds rest = rest_of(name); rest > 0ms) {
    reply(http::text_response(503, room_rests(rest)));
    return;
  }
  if (is_durable && journal_->is_full()) {
    limit_hit(Counter::DiskFull, maker.text());
    reply(http::text_response(503, kDiskFull));
    return;
  }
  if (is_taken_out(name)) {
    reply(http::text_response(503, kRoomTakenOut));
    return;
  }
  if (room == nullptr) {
    if (!may_make_room(maker)) {
      reply(http::text_response(429, kTooManyRoomsOfAddress));
      return;
    }
    room = make(name, service, room::WhenMissing::Create);
  }
  if (room == nullptr) {
    reply(too_many_rooms(shared_.settings, *service));
  } else if (!is_durable) {
    room->expect_clients();
    reply(room_made(std::string(name.id)));
  } else {
    room->create([room_id = std::string(name.id), reply = std::move(reply)](room::Created created) mutable {
      reply(created == room::Created::Yes             ? room_made(room_id)
            : created == room::Created::ExistsAlready ? room_exists()
                                                      : http::text_response(503, kRoomUnreadable));
    });
  }
}

void Shard::make_room_for(std::uint64_t connection, MakeRoom wanted) {
  Shard& owner = owner_of({.service = wanted.service, .id = wanted.room_id});
  owner.post([connection, wanted = std::move(wanted), &asker = *this](Shard& shard) {
    shard.make_room(
        {.service = wanted.service, .id = wanted.room_id}, wanted.maker, [connection, &asker](http::Response response) {
          asker.post([connection, response = std::move(response)](Shard& self) { self.answer(connection, response); });
        });
  });
}

void Shard::generate_room_for(std::uint64_t connection, GenerateRoom wanted, unsigned attempts_left) {
  const HostedServicePtr service = shared_.services.current().find(wanted.service);
  if (service == nullptr) {
    answer(connection, http::text_response(404, kServiceUnknown));
    return;
  }
  std::string room_id = service->settings.strategy.generate_id();
  Shard& owner = owner_of({.service = wanted.service, .id = room_id});
  owner.post([connection, wanted = std::move(wanted), room_id = std::move(room_id), attempts_left,
              &asker = *this](Shard& shard) mutable {
    const RoomName name{.service = wanted.service, .id = room_id};
    shard.make_room(name, wanted.maker, [connection, wanted, attempts_left, &asker](http::Response response) {
      asker.post([connection, wanted, attempts_left, response = std::move(response)](Shard& self) {
        if (response.status == 409 && attempts_left > 1) {
          self.generate_room_for(connection, wanted, attempts_left - 1);
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
  if (journal_->is_urgent() || journal_->open_bytes() >= kJournalBytes || phase_ != Phase::Running) {
    journal_->flush();
  } else if (journal_->has_open() && !journal_timer_.node().is_scheduled()) {
    timers_.schedule(journal_timer_.node(), now_ + kJournalPause);
  }
}

void Shard::wake_at(const RoomName& name, std::int64_t unix_ms) {
  sleepers_.insert({.due_ms = unix_ms, .service = std::string(name.service), .room_id = std::string(name.id)});
  const Milliseconds left{std::max<std::int64_t>(sleepers_.begin()->due_ms - unix_ms_, 0)};
  timers_.schedule(sleepers_timer_.node(), now_ + left);
}

void Shard::wake_sleepers() {
  while (!sleepers_.empty() && sleepers_.begin()->due_ms <= unix_ms_ && phase_ == Phase::Running) {
    Sleeper sleeper = std::move(sleepers_.extract(sleepers_.begin()).value());
    const RoomName name{.service = sleeper.service, .id = sleeper.room_id};
    const HostedServicePtr service = shared_.services.current().find(sleeper.service);
    const bool is_wanted = service != nullptr && find_room(name) == nullptr && !is_taken_out(name);
    if (is_wanted && make(name, service, room::WhenMissing::Refuse) == nullptr) {
      sleeper.due_ms = unix_ms_ + kFullPause.count();  // There are as many rooms as there may be.
      sleepers_.insert(std::move(sleeper));
    }
  }
  if (!sleepers_.empty()) {
    const Milliseconds left{std::max<std::int64_t>(sleepers_.begin()->due_ms - unix_ms_, 1)};
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
  connections.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) {
    connections.push_back(connection.get());
  }
  for (HttpConnection* connection : connections) {
    connection->drain();
  }
  drop_greetings();
  arrivals_.drop_all();
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

void Shard::close_rooms_of(const HostedService& service) {
  for (const room::RoomAsleep* asleep : rooms_.asleep_of(service)) {
    (void)wake_room(*asleep);
  }
  for (room::Room* room : rooms_.rooms_of(service)) {
    room->close(ws::close_code::kRestart, kServiceRemoved);
  }
}

void Shard::check_drained() {
  const bool clients_are_gone =
      sessions_.empty() && connections_.empty() && greetings_.empty() && arrivals_.size() == 0;
  const bool nothing_waits = runnable_.empty() && slow_places_.waiting() == 0 && failed_calls_.empty();
  const bool rooms_are_done = nothing_waits || phase_ == Phase::Ending;
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
  drop_greetings();
  arrivals_.drop_all();
  phase_ = Phase::Ending;
  for (const auto& call : slow_calls_) {
    call->must_end.store(true, std::memory_order_relaxed);
    (void)hasten(*call);
  }
}

}  // namespace jamsocket::server
