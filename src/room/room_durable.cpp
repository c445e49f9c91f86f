// A durable room: events are recorded with what became of them, and what clients would see of them
// waits until the record is on disk. An event that fails is undone: the room is brought back as it was
// before it.

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "room/room.hpp"

namespace jamsocket::room {

using service::EventKind;
using service::Outcome;

namespace {

using namespace std::chrono_literals;

// Of so many calls one is measured (see Room::begin_call).
constexpr std::int64_t kTimedEvery = 64;
constexpr std::chrono::seconds kFailuresWithin{60};
constexpr std::chrono::seconds kUnsettledPause{1};

}  // namespace

Durable::Durable(Room& owner, store::Journal& shard_journal)
    : room(owner), journal(shard_journal), sleep_timer([&owner] { owner.fall_asleep(); }) {}

void Durable::committed(store::Ticket ticket) {
  committed_ticket = ticket;
  room.on_committed();
}

void Durable::found(Result<std::optional<store::StoredRoom>> stored) { room.on_found(std::move(stored)); }

bool Durable::must_load(const service::Service& service) const {
  if (rebuild != nullptr && rebuild->upgrade == Upgrade::Replay) {
    return false;  // Where its events are kept and the new code can handle them, its own code is not needed.
  }
  const std::string& wanted = rebuild != nullptr ? rebuild->version : version;
  return state == State::Ready && !wanted.empty() && service.has_version(wanted) && service.must_load(wanted);
}

std::size_t Durable::failures_lately(SteadyTime now) {
  std::erase_if(failures, [now](SteadyTime at) { return now - at > kFailuresWithin; });
  return failures.size();
}

std::uint32_t Durable::times_aside_lately(SteadyTime now, const AsidePolicy& policy) {
  if (now - came_from_aside > policy.most) {
    times_aside = 0;
  }
  return times_aside;
}

void Durable::on_timer() { room.come_from_aside(); }

void Room::load(WhenMissing when_missing) {
  durable_->state = Durable::State::Loading;
  durable_->when_missing = when_missing;
  look_up();
}

void Room::look_up(store::Extent extent) {
  durable_->journal.find(*durable_, {.service = std::string(service_.name()), .id = id_}, extent);
}

void Room::create(std::move_only_function<void(Created)> answer) {
  if (durable_->state != Durable::State::Loading || durable_->reloading || durable_->on_created) {
    answer(Created::ExistsAlready);
    return;
  }
  durable_->when_missing = WhenMissing::Create;
  durable_->on_created = std::move(answer);
}

std::optional<std::string_view> Room::refusal() const {
  if (!durable_) {
    return std::nullopt;
  }
  if (durable_->state == Durable::State::Aside) {
    return "The room cannot go on for now; try later. The server's log says why.";
  }
  if (durable_->journal.is_full()) {
    return "The server's disk is nearly full; try later.";
  }
  return std::nullopt;
}

bool Room::may_run() {
  Durable& durable = *durable_;
  if (durable.letting_go) [[unlikely]] {
    queued = Queued::No;  // The shard asks when it took the room from its queue.
    end_once_let_go();
    return false;
  }
  const auto limit = durable.gate.limit_reached(settings_.gate);
  if (durable.state == Durable::State::Ready && !limit) [[likely]] {
    return true;
  }
  keep_events();  // It may be long until they run.
  if (durable.state == Durable::State::Ready) {
    host_.limit_hit(*limit, *this);
  }
  return false;
}

bool Room::finish_durable(ServiceCall& call) {
  Durable& durable = *durable_;
  if (durable.letting_go) [[unlikely]] {
    drop_call(call);
    return false;
  }
  if (!take_instance(call)) {
    call.effects.clear();
    return false;
  }
  if (call.outcome != Outcome::Done) [[unlikely]] {
    undo(call);
    return leave_inbox();
  }
  durable.side.note_timer(call.effects, call.event.time_ms);
  apply<Part::Inside>(call.effects);
  const EventOutcome outcome{.outcome = Outcome::Done, .refused = call.effects.refused()};
  record(call.event, outcome, call.effects, Gated::What::Applied);
  stay_awake();
  durable.cpu_since += call.cpu_time * kTimedEvery;
  checkpoint_if_due();
  return leave_inbox();
}

// @return whether the room can go on with the call's outcome.
bool Room::take_instance(ServiceCall& call) {
  Durable& durable = *durable_;
  const std::unique_ptr<Rebuild> rebuild = std::move(call.rebuild);
  const bool was_fresh = instance_ == nullptr && rebuild == nullptr;
  if (call.created != nullptr && rebuild != nullptr && rebuild->upgrade != Upgrade::Keep) [[unlikely]] {
    note_upgrade(*rebuild);
  }
  if (rebuild != nullptr && rebuild->stored.checkpoint) {
    durable.journal.give_back(std::move(rebuild->stored.checkpoint->bytes));
  }
  if (call.created != nullptr) {
    instance_ = std::move(call.created);
    if (was_fresh) {
      if (!durable.is_stored) {
        store_birth(call.start.time_ms);
      }
      durable.side.note_timer(call.start_effects, call.start.time_ms);
      apply_start(call.start_effects);
    }
    call.start_effects.clear();
  }
  if (call.event.kind == EventKind::Timer) {
    durable.side.timer_ms = 0;
  }
  if (instance_ != nullptr) {
    return true;
  }
  call.start_effects.clear();
  if (was_fresh && !durable.is_stored) {
    fail(call);
    return false;
  }
  host_.logger().error("room.not_brought_back", {{"service", service_.name()},
                                                 {"room", id_},
                                                 {"cause", to_string(call.outcome)},
                                                 {"reason", call.fault.reason},
                                                 {"backtrace", call.fault.backtrace}});
  set_aside("the room cannot be brought back");
  return false;
}

void Room::note_upgrade(Rebuild& rebuild) {
  Durable& durable = *durable_;
  if (!rebuild.upgraded) {
    host_.logger().warn("room.not_upgraded", {{"service", service_.name()},
                                              {"room", id_},
                                              {"reason", rebuild.upgrade_fault.reason},
                                              {"backtrace", rebuild.upgrade_fault.backtrace}});
    return;
  }
  host_.logger().info("room.upgraded", {{"service", service_.name()}, {"room", id_}});
  counters_.add(Counter::RoomsUpgraded);
  durable.version = rebuild.version;
  durable.events_since = 0;
  // With the event that led here: what clients see of the new code is seen again after a crash.
  durable.journal.open().replaced.push_back(std::move(*rebuild.upgraded));
  durable.last_ticket = durable.journal.written(durable, durable.last_ticket);
  if (durable.side.timer_ms != rebuild.side.timer_ms) {
    durable.side.timer_ms = rebuild.side.timer_ms;
    schedule_timer_of_side();
  }
}

void Room::schedule_timer_of_side() {
  if (durable_->side.timer_ms == 0) {
    service_timer_.cancel();
    return;
  }
  const Milliseconds left{std::max<std::int64_t>(durable_->side.timer_ms - host_.unix_ms(), 0)};
  host_.timers().schedule(service_timer_, host_.steady_now() + left);
}

void Room::store_birth(std::int64_t time_ms) {
  Durable& durable = *durable_;
  durable.is_stored = true;
  durable.born_ms = time_ms;
  durable.key = durable.journal.new_key();
  durable.version = service_.version();
  const Birth birth{.seed = seed_, .time_ms = time_ms, .version = durable.version};
  durable.journal.open().created.push_back(
      {.key = durable.key, .name = {.service = std::string(service_.name()), .id = id_}, .birth = encode(birth)});
  durable.last_ticket = durable.journal.written(durable, durable.last_ticket);
}

void Room::record(const service::Event& event, EventOutcome outcome, service::Effects& effects, Gated::What what) {
  Durable& durable = *durable_;
  const std::int64_t timer_ms = durable.side.timer_ms;
  durable.side.note(event, outcome);
  durable.side.timer_ms = timer_ms;
  store::Batch& batch = durable.journal.open();
  const std::size_t offset = batch.bytes.size();
  append(batch.bytes, event, outcome);
  batch.appended_from(offset, durable.key, event.number, timer_ms);
  const std::size_t record_bytes = batch.bytes.size() - offset;
  const bool is_async = settings_.durability == Durability::Async;
  durable.last_ticket = durable.journal.written(durable, durable.last_ticket,
                                                is_async ? store::Journal::Hurry::No : store::Journal::Hurry::Yes);
  ++durable.events_since;
  durable.bytes_since += record_bytes;
  durable.gate.wrote(durable.last_ticket, record_bytes + (is_async ? 0 : effects.bytes()));

  if (is_async) {
    release(what, event.kind, event.client, effects);
    effects.clear();
    return;
  }
  durable.gate.hold({.ticket = durable.last_ticket,
                     .what = what,
                     .kind = event.kind,
                     .client = event.client,
                     .effects = effects.take()});
}

void Room::undo(ServiceCall& call) {
  Durable& durable = *durable_;
  count_failure(call);
  log_failure("room.event_undone", call);
  call.effects.clear();
  instance_.reset();
  const bool aside = failed_too_often();
  // Before the record: where nothing waits at the gate it takes effect at once.
  durable.state = aside ? Durable::State::Aside : Durable::State::Loading;
  durable.reloading = !aside;
  durable.undone = !aside;
  record(call.event, {.outcome = call.outcome, .refused = false}, call.effects,
         aside ? Gated::What::UndoneAndAside : Gated::What::Undone);
  if (!aside) {
    look_up();
  }
}

bool Room::failed_too_often() {
  const SteadyTime now = host_.steady_now();
  durable_->failures.push_back(now);
  return durable_->failures_lately(now) >= settings_.aside.failures;
}

void Room::checkpoint_if_due() {
  const CheckpointPolicy& policy = settings_.checkpoints;
  const bool is_due = durable_->events_since >= policy.events || durable_->bytes_since >= policy.log_bytes ||
                      durable_->cpu_since >= policy.cpu;
  if (!is_due) [[likely]] {
    return;
  }
  if (durable_->journal.is_behind()) {
    host_.limit_hit(Counter::LimitCheckpointBacklog, *this);
    return;
  }
  checkpoint();
}

void Room::checkpoint() {
  Durable& durable = *durable_;
  durable.events_since = 0;
  durable.bytes_since = 0;
  durable.cpu_since = {};
  // The service's state comes last, and is copied once: at 1 MiB each time more is felt by all rooms of the shard.
  std::string bytes = encode(CheckpointParts{.side = durable.side, .version = durable.version, .state = {}});
  if (instance_->capture(bytes) != Outcome::Done) {
    host_.logger().warn("room.not_captured", {{"service", service_.name()}, {"room", id_}});
    return;
  }
  counters_.add(Counter::Checkpoints);
  durable.journal.open().checkpoints.push_back(
      {.key = durable.key,
       .checkpoint = {
           .number = durable.side.last_event, .timer_ms = durable.side.timer_ms, .bytes = std::move(bytes)}});
}

void Room::on_committed() {
  Durable& durable = *durable_;
  durable.gate.kept(durable.committed_ticket);
  if (durable.letting_go) [[unlikely]] {
    drop_gated();
    return;
  }
  while (durable.gate.may_release(durable.committed_ticket)) {
    const Gated gated = durable.gate.take();
    release(gated.what, gated.kind, gated.client, gated.effects);
  }
  if (durable.on_created && durable.state == Durable::State::Ready && durable.is_settled()) {
    std::exchange(durable.on_created, nullptr)(Created::Yes);
  }
  if (has_events()) {
    became_runnable();
  } else if (!in_call_) {
    check_idle();
  }
}

// What an event did is on disk: those whom it concerns may see it.
void Room::release(Gated::What what, EventKind kind, ClientId client, const service::Effects& effects) {
  if (what == Gated::What::Mark) {
    pass_mark(client);
    return;
  }
  if (what != Gated::What::Applied) {
    release_undone(what, kind, client);
    return;
  }
  if (kind == EventKind::Connect) {
    admit<Part::Outside>(client, effects);
    return;
  }
  if (kind == EventKind::Disconnect) {
    // One that left in order was a member until here.
    if (const auto gone = forget(client)) {
      gone->link->left();
    }
  }
  apply<Part::Outside>(effects);
}

void Room::release_undone(Gated::What what, EventKind kind, ClientId client) {
  if (const auto gone = forget(client)) {
    gone->link->room_failed();
    // Whom the service never let in it need not see off.
    if (!gone->leaving && kind != EventKind::Connect) {
      add_event(EventKind::Disconnect, client, {});
    }
  }
  if (what == Gated::What::UndoneAndAside) {
    set_aside("too many of its events had to be undone");
    durable_->undone = true;  // The file about this one is written when the room is read again.
  }
}

void Room::on_found(Result<std::optional<store::StoredRoom>> stored) {
  Durable& durable = *durable_;
  JAM_CHECK(durable.state == Durable::State::Loading);
  if (durable.letting_go) [[unlikely]] {
    durable.state = Durable::State::Ready;
    end_once_let_go();
    return;
  }
  if (!stored) {
    cannot_be_read(stored.error().message);
    return;
  }
  if (!stored->has_value()) {
    on_missing();
    return;
  }
  if (durable.wants_whole) {
    std::unique_ptr<Rebuild> rebuild = std::move(durable.wants_whole);
    rebuild->whole = std::move(**stored);
    come_back(std::move(rebuild));
    return;
  }
  if (std::exchange(durable.undone, false)) {
    durable.journal.keep_fault(**stored);
  }
  auto rebuild = Rebuild::from(std::move(**stored));
  if (!rebuild) {
    cannot_be_read(rebuild.error().message);
  } else if ((*rebuild)->version == service_.version()) {
    come_back(std::move(*rebuild));
  } else {
    come_back_from_other_code(std::move(*rebuild));
  }
}

void Room::cannot_be_read(std::string_view reason) {
  host_.logger().error("room.unreadable", {{"service", service_.name()}, {"room", id_}, {"reason", reason}});
  counters_.add(Counter::RoomsUnreadable);
  set_aside("what is stored of the room cannot be read");
}

void Room::come_back_from_other_code(std::unique_ptr<Rebuild> rebuild) {
  Durable& durable = *durable_;
  if (settings_.upgrade == Upgrade::Restart) {
    begin_afresh(rebuild->stored.key);
    return;
  }
  rebuild->may_keep = service_.has_version(rebuild->version);
  // A room that only slept, or was undone, goes on as it was.
  rebuild->upgrade = durable.reloading ? Upgrade::Keep : settings_.upgrade;
  if (rebuild->upgrade == Upgrade::Replay) {
    durable.wants_whole = std::move(rebuild);
    look_up(store::Extent::Whole);
    return;
  }
  if (!rebuild->may_keep) {
    cannot_be_read(
        "another version of the service made it, whose code is not kept (with upgrade = \"restart\" none is); it comes "
        "back where that build is served, or begins afresh with upgrade = \"restart\"");
    return;
  }
  come_back(std::move(rebuild));
}

void Room::on_missing() {
  Durable& durable = *durable_;
  if (durable.reloading) [[unlikely]] {
    // Somebody, or something, changed the file. What comes under its name is another room.
    durable.is_stored = false;
    durable.born_ms.reset();
    durable.side = {};
    last_event_ = 0;
    cannot_be_read("nothing is stored of it any more");
    return;
  }
  durable.state = Durable::State::Ready;
  if (durable.when_missing == WhenMissing::Refuse) {
    for (const Durable::Arrival& arrival : std::exchange(durable.arrivals, {})) {
      arrival.link->room_unknown();
    }
    end();
    return;
  }
  if (durable.when_missing == WhenMissing::Create) {
    last_time_ms_ = host_.unix_ms();
    durable.side.last_time_ms = last_time_ms_;
    store_birth(last_time_ms_);
    expect_clients();
    stay_awake();
  }
  let_arrivals_in();
}

void Room::come_back(std::unique_ptr<Rebuild> rebuild) {
  Durable& durable = *durable_;
  durable.state = Durable::State::Ready;
  durable.key = rebuild->stored.key;
  durable.version = rebuild->version;
  stay_awake();
  durable.events_since = rebuild->stored.tail.size();
  const bool members_are_known = std::exchange(durable.reloading, false);
  if (members_are_known && durable.is_stored) {
    durable.side.present = rebuild->side.present;
    durable.rebuild = std::move(rebuild);
    if (has_events()) {
      became_runnable();
    }
    return;
  }
  // The new code may have another timer.
  const bool may_be_due = rebuild->upgrade == Upgrade::Keep;
  take_from(std::move(rebuild));
  const bool is_due = durable.side.timer_ms != 0 && durable.side.timer_ms <= host_.unix_ms() && may_be_due;
  if (!members_are_known) {
    counters_.add(Counter::RoomsBroughtBack);
    // Nobody is connected who was so before: the service hears that first.
    for (const std::uint32_t client : durable.side.present) {
      add_event(EventKind::Disconnect, ClientId{client}, {});
    }
  }
  if (is_due) {
    add_timer();  // At once: a room that ends when it is empty would end before it.
  } else {
    schedule_timer_of_side();
  }
  if (durable.on_created) {
    std::exchange(durable.on_created, nullptr)(Created::ExistsAlready);
  }
  let_arrivals_in();
  if (!has_events()) {
    check_idle();
  } else if (members_are_known) {
    became_runnable();
  }
}

// All that is not the service's, of a room of which nothing but its members was in memory.
void Room::take_from(std::unique_ptr<Rebuild> rebuild) {
  Durable& durable = *durable_;
  durable.is_stored = true;
  durable.born_ms = rebuild->birth.time_ms;
  durable.side = rebuild->side;
  seed_ = rebuild->birth.seed;
  last_event_ = durable.side.last_event;
  last_client_ = std::max(last_client_, durable.side.last_client);
  last_time_ms_ = durable.side.last_time_ms;
  had_client_ = true;
  if (last_event_ > 0 || rebuild->stored.checkpoint || rebuild->upgrade != Upgrade::Keep) {
    durable.rebuild = std::move(rebuild);
  }
}

void Room::let_arrivals_in() {
  for (Durable::Arrival& arrival : std::exchange(durable_->arrivals, {})) {
    arrival.link->numbered(join(*arrival.link, std::move(arrival.info), std::move(arrival.resume)));
  }
}

// What the client says could not be kept.
void Room::turn_away(ClientId client) {
  host_.limit_hit(Counter::DiskFull, *this);
  if (const auto gone = forget(client)) {
    gone->link->unavailable("the server's disk is nearly full");
    if (!gone->leaving) {
      add_event(EventKind::Disconnect, client, {});
    }
  }
}

void Room::set_aside(std::string_view reason) {
  Durable& durable = *durable_;
  counters_.add(Counter::RoomsFailed);
  durable.state = Durable::State::Aside;
  durable.reloading = false;
  const std::uint32_t times = durable.times_aside_lately(host_.steady_now(), settings_.aside);
  const auto pause = std::min(settings_.aside.most, settings_.aside.first * (1U << std::min(times, 16U)));
  ++durable.times_aside;
  host_.logger().error("room.set_aside", {{"service", service_.name()},
                                          {"room", id_},
                                          {"reason", reason},
                                          {"milliseconds", pause.count()},
                                          {"clients", members_.size()}});
  host_.timers().schedule(durable.aside_timer, host_.steady_now() + pause);
  instance_.reset();
  durable.rebuild.reset();
  service_timer_.cancel();
  shutdown_timer_.cancel();
  durable.sleep_timer.node().cancel();
  durable.undone = false;
  drop_events();
  readers_paused_ = false;
  if (durable.on_created) {
    std::exchange(durable.on_created, nullptr)(Created::Failed);
  }
  for (const Durable::Arrival& arrival : std::exchange(durable.arrivals, {})) {
    arrival.link->unavailable(reason);
  }
  for (const Member& member : std::exchange(members_, {})) {
    member.link->room_failed();
  }
  if (returning_) {
    returning_->clear();
  }
}

// The room of that name makes way for one that the service's present code begins.
void Room::begin_afresh(store::RoomKey instead_of) {
  Durable& durable = *durable_;
  host_.logger().info("room.restarted", {{"service", service_.name()}, {"room", id_}});
  durable.journal.open().removed.push_back(instead_of);
  durable.last_ticket = durable.journal.written(durable, durable.last_ticket);
  if (durable.on_created) {
    std::exchange(durable.on_created, nullptr)(Created::ExistsAlready);
  }
  if (durable.when_missing == WhenMissing::Refuse) {
    durable.when_missing = WhenMissing::Create;  // Its name was taken, and stays so.
  }
  on_missing();
}

void Room::come_from_aside() {
  if (!durable_->is_settled()) {
    host_.timers().schedule(durable_->aside_timer, host_.steady_now() + kUnsettledPause);
    return;
  }
  durable_->failures.clear();
  durable_->came_from_aside = host_.steady_now();
  load(settings_.after_failure == RoomSettings::AfterFailure::End ? WhenMissing::Make : WhenMissing::Refuse);
}

}  // namespace jamsocket::room
