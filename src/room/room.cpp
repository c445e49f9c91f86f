#include "room/room.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "service/random.hpp"

namespace jamsocket::room {

using service::Effect;
using service::EffectKind;
using service::EventKind;
using service::Outcome;

namespace {

// A room that ends with fewer behind its checkpoint is brought back from its log about as fast.
constexpr std::uint64_t kEventsWorthACheckpoint = 16;
// Measuring a call costs more than a short one takes: one in so many stands for the others.
constexpr std::uint64_t kTimedEvery = 64;
// A timer that became due while the disk was full looks again after so long.
constexpr std::chrono::seconds kFullDiskPause{1};

}  // namespace

Room::Room(std::string id, service::Service& service, const RoomSettings& settings, RoomHost& host)
    : id_(std::move(id)),
      service_(service),
      settings_(settings),
      host_(host),
      counters_(host.counters()),
      output_(host.output()),
      seed_(service::random_seed()) {
  if (settings_.durability != Durability::None) {
    JAM_CHECK(host_.journal() != nullptr);
    durable_ = std::make_unique<Durable>(*this, *host_.journal());
  }
  if (settings_.returning.within.count() > 0) {
    returning_ = std::make_unique<Returning>(*this);
  }
}

Room::~Room() = default;

bool Room::inbox_is_full() {
  const std::size_t bytes = (waiting_ ? waiting_->bytes() : 0) + (running_ ? running_->bytes() : 0);
  if (bytes < settings_.inbox_bytes_max) {
    return false;
  }
  if (!readers_paused_) {
    readers_paused_ = true;
    host_.limit_hit(Counter::InboxFull, *this);
  }
  return true;
}

bool Room::is_full() const {
  return members_.size() + (durable_ ? durable_->arrivals.size() : 0) >= settings_.clients_max;
}

ClientId Room::join(ClientLink& link, std::unique_ptr<service::ConnectInfo> info, std::string resume) {
  JAM_CHECK(!ended_);
  if (durable_ && durable_->state == Durable::State::Loading && !durable_->reloading) {
    // Which numbers are free is not known yet.
    durable_->arrivals.push_back(
        {.number = ++durable_->last_arrival, .link = &link, .info = std::move(info), .resume = std::move(resume)});
    return ClientId{durable_->last_arrival};
  }
  const std::string_view subject = info != nullptr ? std::string_view(info->subject) : std::string_view();
  if (returning_) [[unlikely]] {
    if (const auto client = returning_->find(resume, subject)) {
      take_place(*client, link);
      return *client;
    }
  }
  JAM_CHECK(last_client_ < static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max()));
  const ClientId client{++last_client_};
  members_.push_back({.client = client, .link = &link});
  had_client_ = true;
  closing_ = false;
  shutdown_timer_.cancel();
  if (returning_) [[unlikely]] {
    link.can_return(returning_->add(client, subject), settings_.returning.telling);
  }
  waiting().add_connect(client, std::move(info));
  became_runnable();
  return client;
}

void Room::leave(ClientId client) {
  if (durable_ && !durable_->arrivals.empty()) [[unlikely]] {
    std::erase_if(durable_->arrivals,
                  [&](const Durable::Arrival& arrival) { return ClientId{arrival.number} == client; });
    return;
  }
  if (stays(client)) [[unlikely]] {
    go_absent(*find(client));
    return;
  }
  if (const auto gone = forget(client); gone && !gone->leaving) {
    add_event(EventKind::Disconnect, client, {});
  }
}

void Room::leave_in_order(ClientId client) {
  const auto member = find(client);
  JAM_CHECK(member != members_.end() && !member->leaving);
  if (stays(client)) [[unlikely]] {
    returning_->leaves_in_order(client, *member->link);
    const bool is_heard = !in_call_ && !has_events() && (!durable_ || !durable_->gate.holds_back());
    if (is_heard) {
      pass_mark(client);
    } else {
      waiting().add_mark(client);
      became_runnable();
    }
    return;
  }
  member->leaving = true;
  add_event(EventKind::Disconnect, client, {});
}

void Room::message(EventKind kind, ClientId client, std::string_view payload, PayloadStays stays) {
  // Nearly every one: it runs soon, and its bytes stay where they are until then.
  const bool stays_there = stays == PayloadStays::ForTheTurn && runs_soon();
  if (stays_there && waiting_ != nullptr && waiting_->has_borrowed()) [[likely]] {
    waiting_->add_borrowed(kind, client, payload);
    became_runnable();
  } else {
    first_message(kind, client, payload, stays);
  }
}

// Of a turn, or one whose bytes are copied.
void Room::first_message(EventKind kind, ClientId client, std::string_view payload, PayloadStays stays) {
  if (durable_ && durable_->journal.is_full()) [[unlikely]] {
    turn_away(client);
    return;
  }
  // Where it may be long until the event runs, its bytes are copied at once.
  if (stays == PayloadStays::ForTheTurn && runs_soon() && waiting_ == nullptr) [[likely]] {
    waiting().add_borrowed(kind, client, payload);
  } else {
    waiting().add(kind, client, payload);
  }
  became_runnable();
}

void Room::keep_events() {
  const bool some_run = running_ != nullptr && running_->has_borrowed() && !running_->exhausted();
  const bool some_wait = waiting_ != nullptr && waiting_->has_borrowed();
  if (!some_run && !some_wait) {
    return;
  }
  std::unique_ptr<Inbox> kept = host_.inboxes().take();
  if (some_run) {
    // What it has given out stays where it is: a call may be looking at it.
    running_->move_waiting_to(*kept);
  }
  if (waiting_ != nullptr) {
    waiting_->move_waiting_to(*kept);
    host_.inboxes().give_back(std::move(waiting_));
  }
  waiting_ = std::move(kept);
}

void Room::expect_clients() {
  // A room that ends as soon as it is empty must wait for its first client.
  if (settings_.shutdown_policy.empty_for && settings_.shutdown_policy.empty_for->count() > 0) {
    host_.timers().schedule(shutdown_timer_, host_.steady_now() + *settings_.shutdown_policy.empty_for);
  }
}

bool Room::begin_call(ServiceCall& call) {
  JAM_CHECK(!in_call_);
  if (ended_ || (durable_ && !may_run())) {
    return false;
  }
  if ((running_ == nullptr || running_->exhausted()) && !take_inbox()) {
    return false;
  }
  if ((returning_ || timers_void_ > 0) && !pass_what_is_no_event()) [[unlikely]] {
    return false;
  }
  const std::int64_t now_ms = host_.unix_ms();
  last_time_ms_ = last_event_ == 0 ? now_ms : std::max(last_time_ms_, now_ms);
  in_call_ = true;
  call.room = this;
  call.service = &service_;
  call.instance = instance_.get();
  // Field by field: a structure made elsewhere and copied here waits for its stores to reach the cache.
  running_->take(call.event);
  if (call.event.kind == EventKind::Disconnect && !durable_) [[unlikely]] {
    forget_leaver(call.event.client);
  } else if (call.event.kind == EventKind::Timer) [[unlikely]] {
    timer_waits_ = false;
  }
  call.event.time_ms = last_time_ms_;
  call.event.number = ++last_event_;
  call.event.monitor = &call;
  // What has to wait for the disk waits longer than the turn.
  call.effects.write_to(settings_.durability == Durability::Local ? nullptr : &output_);
  call.is_timed = durable_ && last_event_ % kTimedEvery == 0;
  if (instance_ == nullptr) [[unlikely]] {
    begin_instance(call);
  }
  return true;
}

// What has come meanwhile is next. @return whether anything has.
bool Room::take_inbox() {
  host_.inboxes().give_back(std::move(running_));
  running_ = std::move(waiting_);
  return running_ != nullptr;
}

// One that left in order was a member until here.
void Room::forget_leaver(ClientId client) {
  if (const auto gone = forget(client)) {
    gone->link->left();
  }
}

void Room::begin_instance(ServiceCall& call) {
  call.start = {.room_id = id_, .seed = seed_, .time_ms = last_time_ms_, .monitor = &call};
  if (durable_) {
    call.start.time_ms = durable_->born_ms.value_or(last_time_ms_);
    call.start.version = durable_->version;
    call.rebuild = std::move(durable_->rebuild);
  }
}

bool Room::finish_call(ServiceCall& call) {
  in_call_ = false;
  counters_.add(Counter::EventsHandled);
  if (durable_) {
    return finish_durable(call);
  }
  if (call.created != nullptr) [[unlikely]] {
    take_created(call);
  }
  if (call.outcome != Outcome::Done) [[unlikely]] {
    fail(call);
  } else if (call.event.kind == EventKind::Connect) {
    admit<Part::All>(call.event.client, call.effects);
  } else {
    apply<Part::All>(call.effects);
  }
  call.effects.clear();
  return leave_inbox();
}

void Room::take_created(ServiceCall& call) {
  instance_ = std::move(call.created);
  apply_start(call.start_effects);
}

void Room::drop_inbox() {
  host_.inboxes().give_back(std::move(running_));
  if (readers_paused_) [[unlikely]] {
    resume_readers();
  }
  check_idle();
}

void Room::add_event(EventKind kind, ClientId client, std::string_view payload) {
  waiting().add(kind, client, payload);
  became_runnable();
}

void Room::service_timer_is_due() {
  if (durable_ && durable_->journal.is_full()) [[unlikely]] {
    host_.timers().schedule(service_timer_, host_.steady_now() + kFullDiskPause);
    return;
  }
  add_timer();
}

void Room::add_timer() {
  timer_waits_ = true;
  add_event(EventKind::Timer, ClientId{}, {});
}

// What waits for the room does not happen.
void Room::drop_events() {
  host_.inboxes().give_back(std::move(waiting_));
  host_.inboxes().give_back(std::move(running_));
  timer_waits_ = false;
  timers_void_ = 0;
}

std::vector<Room::Member>::iterator Room::search(ClientId client) {
  const auto at = std::ranges::lower_bound(members_, client, {}, &Member::client);
  return at != members_.end() && at->client == client ? at : members_.end();
}

std::optional<Room::Member> Room::forget(ClientId client) {
  const auto member = find(client);
  if (member == members_.end()) {
    return std::nullopt;
  }
  Member gone = *member;
  members_.erase(member);
  if (returning_) [[unlikely]] {
    gone.link = returning_->forget(client, gone.link);
  }
  return gone;
}

// What a constructor sends reaches nobody; its timer and its log lines count.
void Room::apply_start(const service::Effects& effects) {
  for (const Effect& effect : effects.list()) {
    if (effect.kind == EffectKind::SetTimer) {
      set_timer(effect);
    } else if (effect.kind == EffectKind::Log) {
      write_log(effect, effects.bytes_of(effect));
    }
  }
}

template <Room::Part kPart>
void Room::admit(ClientId client, const service::Effects& effects) {
  if (effects.refused()) {
    // Forgotten first, so that what `connect` sent to it goes nowhere.
    const auto gone = forget(client);
    counters_.add(Counter::ClientsRefused);
    apply<kPart>(effects);
    if (gone) {
      const auto refusal = std::ranges::find(effects.list(), EffectKind::Refuse, &Effect::kind);
      gone->link->refused(effects.bytes_of(*refusal));
    }
    return;
  }
  // The client may have gone while the call ran: its Disconnect event waits already.
  if (const auto member = find(client); member != members_.end()) {
    counters_.add(Counter::ClientsJoined);
    if (const auto subprotocol = effects.accepted_subprotocol()) {
      member->link->subprotocol_accepted(*subprotocol);
    }
    if (returning_) [[unlikely]] {
      returning_->admitted(client);
    }
    member->link->admitted();
  }
  apply<kPart>(effects);
}

template <Room::Part kPart>
void Room::apply(const service::Effects& effects) {
  constexpr bool kInside = kPart != Part::Outside;
  constexpr bool kOutside = kPart != Part::Inside;
  for (const Effect& effect : effects.list()) {
    const std::string_view bytes = effects.bytes_of(effect);
    switch (effect.kind) {
      case EffectKind::SendText:
      case EffectKind::SendBinary:
        if constexpr (kOutside) {
          send(effect, bytes);
        }
        break;
      case EffectKind::SetTimer:
        if constexpr (kInside) {
          set_timer(effect);
        }
        break;
      case EffectKind::Close:
        if constexpr (kOutside) {
          close_client(ClientId{static_cast<std::uint32_t>(effect.recipient.code())}, effect.close_code, bytes);
        }
        break;
      case EffectKind::Log:
        if constexpr (kInside) {
          write_log(effect, bytes);
        }
        break;
      case EffectKind::Refuse:
      case EffectKind::AcceptSubprotocol:
        break;
    }
  }
  if constexpr (kInside) {
    if (effects.log_limit_passed()) [[unlikely]] {
      note_dropped_lines(effects);
    }
  }
}

// For room_durable.cpp.
template void Room::apply<Room::Part::Inside>(const service::Effects& effects);
template void Room::apply<Room::Part::Outside>(const service::Effects& effects);
template void Room::admit<Room::Part::Outside>(ClientId client, const service::Effects& effects);

void Room::send(const Effect& effect, std::string_view payload) {
  const std::int64_t recipient = effect.recipient.code();
  Message message(effect.kind == EffectKind::SendText ? MessageKind::Text : MessageKind::Binary, payload, effect.frame);
  std::uint64_t copies = 0;
  if (recipient > 0) {
    if (const auto member = find(ClientId{static_cast<std::uint32_t>(recipient)}); member != members_.end()) {
      member->link->push(message);
      copies = 1;
    }
  } else {
    copies = send_to_all(message, ClientId{static_cast<std::uint32_t>(-recipient)});
  }
  counters_.add(Counter::MessagesOut, copies);
  if (effect.frame.chunk != nullptr && !message.plain_is_used()) [[unlikely]] {
    output_.give_back(effect.frame);
  }
}

// @return how many clients got it.
std::uint64_t Room::send_to_all(Message& message, ClientId except) {
  std::uint64_t copies = 0;
  for (const Member& member : members_) {
    if (member.client != except) {
      member.link->push(message);
      ++copies;
    }
  }
  return copies;
}

void Room::set_timer(const Effect& effect) {
  timers_void_ += std::exchange(timer_waits_, false) ? 1U : 0U;  // It was due, and is not any more.
  if (effect.delay_ms == 0 && !effect.timer_at_once) {
    service_timer_.cancel();
  } else {
    host_.timers().schedule(service_timer_, host_.steady_now() + Milliseconds{effect.delay_ms});
  }
}

bool Room::close_client(ClientId client, std::uint16_t code, std::string_view reason) {
  const auto gone = forget(client);
  if (!gone) {
    return false;
  }
  gone->link->close(code, reason);
  if (!gone->leaving) {
    add_event(EventKind::Disconnect, client, {});
  }
  return true;
}

void Room::close(std::uint16_t code, std::string_view reason) {
  closing_ = true;
  while (!members_.empty()) {
    close_client(members_.back().client, code, reason);
  }
  if (!in_call_ && !has_events()) {
    check_idle();
  }
}

void Room::check_idle() {
  if (durable_ && !durable_->may_end()) {
    return;  // What it waits for leads here again.
  }
  if (closing_ && !ended_ && members_.empty()) {
    end();
    return;
  }
  if (ended_ || !members_.empty() || !had_client_ || shutdown_timer_.is_scheduled() ||
      !settings_.shutdown_policy.empty_for) {
    return;
  }
  if (settings_.shutdown_policy.empty_for->count() == 0) {
    end();
  } else {
    host_.timers().schedule(shutdown_timer_, host_.steady_now() + *settings_.shutdown_policy.empty_for);
  }
}

void Room::end_if_idle() {
  const bool is_settled = !durable_ || durable_->may_end();
  if (members_.empty() && !has_events() && !in_call_ && is_settled) {
    end();
  } else {
    // Events of a room without clients (a timer) are under way: they lead to check_idle again.
    shutdown_timer_.cancel();
  }
}

void Room::end() {
  if (durable_ && instance_ != nullptr && durable_->events_since >= kEventsWorthACheckpoint &&
      !durable_->journal.is_behind()) {
    checkpoint();
  }
  counters_.add(Counter::RoomsEnded);
  retire();
  if (returning_) {
    returning_->clear();
  }
  instance_.reset();
  drop_events();
  host_.room_ended(*this);
}

// Nothing happens to it any more.
void Room::retire() {
  ended_ = true;
  service_timer_.cancel();
  shutdown_timer_.cancel();
}

void Room::resume_readers() {
  readers_paused_ = false;
  for (const Member& member : members_) {
    member.link->resume_reading();
  }
}

}  // namespace jamsocket::room
