#include "server/shard.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.hpp"
#include "base/heap.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

// What one read may bring.
constexpr std::size_t kReceiveBytes = std::size_t{128} << 10U;
// Several events of a room in a row keep its frames side by side in the arena: one part for send().
constexpr std::uint32_t kEventsForRoom = 64;
constexpr std::uint32_t kEventsForTurn = 4096;
// And where the last turn left some behind: who has spoken since waits for the end of this one.
constexpr std::uint32_t kEventsForTurnBehind = 1024;
// What a turn reads before its rooms run: more would only fall out of the processor's caches on its way.
constexpr std::size_t kBytesForTurn = std::size_t{32} << 10U;
// And from how many sockets, where only those are answered who spoke: reading more of them first gathers nothing for
// anyone, and what a send needs of the first would have left the caches.
constexpr std::size_t kSocketsForTurn = 128;
// All sessions are looked at this many times within the shorter of the two heartbeat times.
constexpr std::uint32_t kSweepsPerHeartbeat = 4;
constexpr std::uint32_t kSlicesPerSweep = 16;
// When calls take their time: a turn ends after so long, whatever events are left to it.
constexpr Milliseconds kCallsForTurn{5};
// How many calls that failed are finished in a turn, and what such a call may hold until then.
constexpr std::size_t kFailuresForTurn = 8;
constexpr std::size_t kKeptOfFailure = std::size_t{64} << 10U;
// A timer may cost much: a connection that is reset gives back what the kernel kept for it. The rest goes next turn.
constexpr std::chrono::microseconds kTimersForTurn{30};
// What is worth giving back to the system, once it is free.
constexpr std::size_t kCrowd = 1000;
constexpr std::size_t kMuchBytes = std::size_t{1} << 20U;
constexpr Milliseconds kExodusPause{500};
// A session's first cache lines, which hold what a message needs.
void prefetch(const void* object) {
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kLines = 3;
  for (std::size_t i = 0; i < kLines; ++i) {
    __builtin_prefetch(static_cast<const char*>(object) + i * kLine);
  }
}

// The kernel spreads connections evenly, more or less.
std::size_t handshakes_of_a_shard(const Settings& settings) {
  return (settings.tls.handshakes_max + settings.shards - 1) / settings.shards;
}

}  // namespace

Result<std::unique_ptr<Shard>> Shard::create(std::size_t number, const Shared& shared) {
  auto loop = JAM_TRY(io::EventLoop::create());
  return std::unique_ptr<Shard>(new Shard(number, shared, std::move(loop)));
}

Shard::Shard(std::size_t number, const Shared& shared, std::unique_ptr<io::EventLoop> loop)
    : number_(number),
      shared_(shared),
      loop_(std::move(loop)),
      receive_buffer_(kBytesForTurn + kReceiveBytes),
      started_(shared.clock.steady()),
      rooms_(shared.room_hash, shared.room_count, shared.settings.rooms_max, slabs_),
      failing_rooms_(shared.settings.back_off),
      arrivals_(*this, shared.clock, handshakes_of_a_shard(shared.settings)),
      call_(make_call()),
      slow_places_(shared.settings.slow_calls.count_max) {
  read_clock();
  next_sweep_ = now_;
  if (shared.store != nullptr) {
    journal_.emplace(*shared.store, [this](std::move_only_function<void()> task) {
      post([run = std::move(task)](Shard&) mutable { run(); });
    });
  }
}

Shard::~Shard() = default;

LoopEnd Shard::run() {
  coarse_ = shared_.clock.coarse();
  end_turn_in_time();  // A call took the loop's last thread, and its time.
  while (phase_ != Phase::Ended) {
    if (begin_next_call()) {
      room::ServiceCall& call = *call_;
      call.run();
      if (call.place == room::ServiceCall::Place::Slow) [[unlikely]] {
        // Another thread has been running the loop for a while: nothing here may be touched but the call.
        call.cpu_used = thread_cpu_time() - call.cpu_before;
        post([&call](Shard& shard) { shard.finish_slow(call); });
        return LoopEnd::Lost;
      }
      finish_call();
    } else {
      end_turn();
      wait_and_read();
    }
  }
  end_turn();
  return LoopEnd::Ended;
}

void Shard::post(Task task) {
  tasks_.push(std::move(task));
  loop_->wake();
}

bool Shard::begin_next_call() {
  while (events_left_for_turn_ > 0 && phase_ != Phase::Ending && (current_ != nullptr || choose_room())) {
    room::Room* const room = current_;
    if (room->slow_until > now_ || room->must_load_code()) [[unlikely]] {
      leave_room();
      start_slow(*room);
      continue;
    }
    if (room->begin_call(*call_)) {
      --events_left_for_turn_;
      return true;
    }
    leave_room();
  }
  if (current_ != nullptr) {
    put_back_room();
  }
  return false;
}

bool Shard::choose_room() {
  current_ = runnable_.pop();
  events_left_for_room_ = kEventsForRoom;
  return current_ != nullptr;
}

// Behind the others.
void Shard::put_back_room() { runnable_.push(*std::exchange(current_, nullptr), coarse_); }

// One that was set aside has lost its events: it may come back and end while it still waits for its turn.
void Shard::leave_queues(room::Room& room) {
  if (room.queued == room::Room::Queued::Yes && &room != current_) [[unlikely]] {
    runnable_.remove(room);
    slow_places_.remove(room);
    room.queued = room::Room::Queued::No;
  }
}

void Shard::leave_room() { std::exchange(current_, nullptr)->queued = room::Room::Queued::No; }

void Shard::finish_call() {
  room::Room* const room = current_;
  if (call_->ran_long) [[unlikely]] {
    // It was ended, or no thread stood by: the next time it does not cost the loop its first milliseconds again.
    start_aside(*room);
    call_->ran_long = false;
  }
  if (may_fail_later(*call_)) [[unlikely]] {
    put_off_failure(*room);
    return;
  }
  const bool has_more = room->finish_call(*call_);
  const bool time_passed = meter(*room);
  if (!has_more) {
    leave_room();
  } else if (--events_left_for_room_ == 0 || time_passed) {
    put_back_room();
  }
}

// Whether it failed, and may be finished when others have had their turn: a failure costs more than an event
// (sentences, closing, an instance to drop), and many rooms may fail at once. What it asked for is not to take memory
// meanwhile; and a durable room's event is still looked at, but lies in a buffer of the turn.
bool Shard::may_fail_later(const room::ServiceCall& call) {
  return call.outcome != service::Outcome::Done && call.room->settings().durability == room::Durability::None &&
         call.effects.bytes() <= kKeptOfFailure;
}

void Shard::put_off_failure(room::Room& room) {
  (void)meter(room);
  room.keep_events();
  call_->effects.leave_arena();
  leave_room();
  failed_calls_.push_back(std::exchange(call_, make_call()));
}

void Shard::finish_failed_calls() {
  for (std::size_t i = 0; i < kFailuresForTurn && !failed_calls_.empty() && phase_ != Phase::Ending; ++i) {
    const std::unique_ptr<room::ServiceCall> call = std::move(failed_calls_.front());
    failed_calls_.pop_front();
    if (call->room->finish_call(*call)) {
      runnable(*call->room);
    }
  }
}

// Whether the coarse clock has moved since the last call. It moves each few milliseconds, so that most
// calls are found to take no time; over a second, each room is charged what it used, but for chance.
bool Shard::meter(room::Room& room) {
  const SteadyTime now = shared_.clock.coarse();
  if (now == coarse_) [[likely]] {
    return false;
  }
  const auto took = now - coarse_;
  coarse_ = now;
  charge(room, took);
  if (took >= shared_.settings.overlong_call) [[unlikely]] {
    warn_of_overlong_call(took);
  }
  end_turn_in_time();
  return true;
}

void Shard::end_turn_in_time() {
  if (coarse_ - calls_began_ >= kCallsForTurn) {
    events_left_for_turn_ = 0;
  }
}

void Shard::charge(room::Room& room, std::chrono::nanoseconds cpu_time) {
  room.service_cpu_ns->fetch_add(static_cast<std::uint64_t>(cpu_time.count()), std::memory_order_relaxed);
  constexpr std::chrono::seconds kSecond{1};
  if (coarse_ - room.share_since >= kSecond) {
    room.share_since = coarse_;
    room.share_used = 0ns;
  }
  room.share_used += cpu_time;
  if (room.share_used > room.settings().cpu_per_second_max && room.over_share_until <= coarse_) {
    limit_hit(Counter::RoomsOverShare, room);
    room.over_share_until = room.share_since + kSecond;
  }
}

void Shard::warn_of_overlong_call(std::chrono::nanoseconds took) {
  counters_.add(Counter::CallsOverlong);
  if (coarse_ >= next_warning_) {
    next_warning_ = coarse_ + 1s;
    shared_.logger.warn("room.overlong_call", {{"service", call_->room->service_name()},
                                               {"room", call_->room->id()},
                                               {"event_kind", to_string(call_->event.kind)},
                                               {"event_number", call_->event.number},
                                               {"milliseconds", std::chrono::round<Milliseconds>(took).count()}});
  }
}

std::unique_ptr<room::ServiceCall> Shard::make_call() {
  return std::make_unique<room::ServiceCall>(shared_.settings.effects, *this);
}

void Shard::end_turn() {
  finish_failed_calls();
  if (journal_) {
    flush_journal();
  }
  answers_only_ = touched_.size() <= sockets_of_turn_;
  // By index: a session's end of turn may touch another one.
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    if (i + 1 < touched_.size()) {
      prefetch(touched_[i + 1]);
    }
    touched_[i]->end_turn();
  }
  touched_.clear();
  output_.end_turn();
  destroy_retired();
  counters_.add(Counter::LoopTurns);
  stats_.turn_ended({.busy_for = shared_.clock.steady() - now_,
                     .connections = sessions_.size() + connections_.size() + arrivals_.size(),
                     .clients = sessions_.size(),
                     .rooms = rooms_.size(),
                     .rooms_runnable = runnable_.size() + slow_places_.waiting(),
                     .calls_slow = slow_calls_.size()});
  check_drained();
}

void Shard::keep_waiting_events() {
  runnable_.for_each([](room::Room& room) { room.keep_events(); });
  slow_places_.for_each_waiting([](room::Room& room) { room.keep_events(); });
  received_bytes_ = 0;
}

void Shard::wait_and_read() {
  keep_waiting_events();
  if (next_ready_ == ready_.size()) {
    ready_ = loop_->wait(time_to_wait());
    next_ready_ = 0;
  }
  read_clock();
  events_left_for_turn_ = runnable_.empty() ? kEventsForTurn : kEventsForTurnBehind;
  run_tasks();
  const std::uint64_t enough = counters_.get(Counter::BytesIn) + kBytesForTurn;
  const std::size_t first = next_ready_;
  const std::size_t last = answers_only_ ? std::min(ready_.size(), first + kSocketsForTurn) : ready_.size();
  while (next_ready_ < last && counters_.get(Counter::BytesIn) < enough) {
    const epoll_event& event = ready_[next_ready_++];
    if (next_ready_ < ready_.size()) {
      // With a thousand clients the next one's session has left the caches since its last message.
      prefetch(ready_[next_ready_].data.ptr);
    }
    static_cast<io::EventHandler*>(event.data.ptr)->on_ready(event.events);
  }
  sockets_of_turn_ = next_ready_ - first;
  arrivals_.run();
  // By their own time: a turn that has read much leaves them no less.
  timers_.run_due_for(now_, shared_.clock, kTimersForTurn);
  sweep_heartbeats();
  begin_calls();
}

void Shard::begin_calls() {
  coarse_ = shared_.clock.coarse();
  calls_began_ = coarse_;
  slow_places_.let_go_on([this](room::Room& room) { runnable_.push(room, coarse_); });
  runnable_.begin_turn(coarse_);
}

std::optional<std::chrono::nanoseconds> Shard::time_to_wait() const {
  const bool has_work = !runnable_.empty() || !failed_calls_.empty() || slow_places_.is_one_free_for_who_waits();
  if ((has_work && phase_ != Phase::Ending) || phase_ == Phase::Ended || arrivals_.has_steps()) {
    return 0ns;
  }
  std::optional<SteadyTime> deadline = timers_.next_deadline();
  if (!sessions_.empty()) {
    deadline = std::min(deadline.value_or(next_sweep_), next_sweep_);
  }
  if (!deadline) {
    return std::nullopt;
  }
  return std::max<std::chrono::nanoseconds>(*deadline - now_, 0ns);
}

void Shard::read_clock() {
  now_ = shared_.clock.steady();
  unix_ms_ = std::max(unix_ms_, shared_.clock.unix_ms());
  tick_ = static_cast<session::Tick>((now_ - started_) / session::kTickLength);
}

void Shard::run_tasks() {
  tasks_.run_all([this](Task& task) { task(*this); });
}

void Shard::sweep_heartbeats() {
  if (now_ < next_sweep_ || sessions_.empty()) {
    return;
  }
  const session::SessionSettings& settings = shared_.settings.session;
  const auto pass = std::min(settings.ping_after, settings.dead_after) * session::kTickLength / kSweepsPerHeartbeat;
  const auto every = std::max<Milliseconds>(pass / kSlicesPerSweep, 20ms);
  // A clock that jumped ahead (a suspended machine, a test) owes as many sweeps as it skipped, one pass at most.
  const auto missed = (now_ - next_sweep_) / every + 1;
  const std::size_t slices = static_cast<std::size_t>(std::min<std::int64_t>(missed, kSlicesPerSweep));
  const std::size_t count = (sessions_.size() * slices + kSlicesPerSweep - 1) / kSlicesPerSweep;
  for (std::size_t i = 0; i < count && !sessions_.empty(); ++i) {
    sweep_at_ = sweep_at_ + 1 < sessions_.size() ? sweep_at_ + 1 : 0;
    sessions_[sweep_at_]->heartbeat(tick_);
  }
  next_sweep_ = now_ + every;
}

void Shard::destroy_retired() {
  if (next_ready_ != ready_.size()) {
    return;  // What is still to be looked at may name one of them.
  }
  retired_sessions_.clear();
  retired_connections_.clear();
  retired_greetings_.clear();
  arrivals_.destroy_retired();
  rooms_.destroy_retired();
  notice_exodus();
}

// The heap keeps what many rooms and clients have freed, or few that held much: given back once most of them have
// left, a moment later, so that a crowd that comes and goes pays nothing.
void Shard::notice_exodus() {
  const std::size_t held = sessions_.size() + rooms_.size();
  most_held_ = std::max(most_held_, held);
  const bool crowd_left = most_held_ >= kCrowd && held * 2 <= most_held_;
  if ((crowd_left || left_behind_bytes_ >= kMuchBytes) && !exodus_timer_.node().is_scheduled()) {
    timers_.schedule(exodus_timer_.node(), now_ + kExodusPause);
  }
}

void Shard::give_memory_back() {
  most_held_ = sessions_.size() + rooms_.size();
  left_behind_bytes_ = 0;
  return_freed_memory();
}

void Shard::runnable(room::Room& room) {
  room.queued = room::Room::Queued::Yes;
  runnable_.push(room, coarse_);
}

void Shard::room_failed(room::Room& room) {
  failing_rooms_.note({.service = room.service_path, .id = room.id()}, now_, room.slow_until);
}

// Its timer is due whether it is in memory or not.
void Shard::wake_for_timer(const room::Room& room) {
  if (room.sleeps_until_ms() != 0) {
    wake_at({.service = room.service_path, .id = room.id()}, room.sleeps_until_ms());
  }
}

void Shard::room_ended(room::Room& room) {
  leave_queues(room);
  wake_for_timer(room);
  rooms_.retire(room);
  if (!taken_out_.empty()) [[unlikely]] {
    const auto waiting = taken_out_.find({std::string(room.service_path), room.id()});
    if (waiting != taken_out_.end() && waiting->second) {
      journal_->flush();  // A checkpoint of it may be on its way.
      std::exchange(waiting->second, nullptr)();
    }
  }
}

bool Shard::keep_asleep(room::Room& room) {
  leave_queues(room);
  wake_for_timer(room);
  rooms_.put_to_sleep(room);
  return true;
}

void Shard::touched(session::ClientSession& session) { touched_.push_back(&session); }

void Shard::retire(session::ClientSession& session) {
  const std::size_t index = session.index;
  JAM_CHECK(index < sessions_.size() && sessions_[index].get() == &session);
  left_behind_bytes_ += session.held_bytes();
  retired_sessions_.push_back(std::move(sessions_[index]));
  if (index + 1 != sessions_.size()) {
    sessions_[index] = std::move(sessions_.back());
    sessions_[index]->index = static_cast<std::uint32_t>(index);
  }
  sessions_.pop_back();
  if (!await_tokens_.empty()) [[unlikely]] {
    await_tokens_.erase(&session);
  }
  shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
}

void Shard::retire(HttpConnection& connection) {
  const auto found = connections_.find(connection.id());
  JAM_CHECK(found != connections_.end());
  left_behind_bytes_ += connection.held_bytes();
  shared_.connection_count.fetch_sub(1, std::memory_order_relaxed);
  retired_connections_.push_back(std::move(found->second));
  connections_.erase(found);
}

}  // namespace jamsocket::server
