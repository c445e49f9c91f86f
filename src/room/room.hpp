// room/room.hpp
//
// A room: who is in it, and what happens to it, one event after the other.
//
// A join, a leave, a message or a timer becomes an event in the inbox and makes the room runnable.
// Its shard then takes the room through `begin_call`, `ServiceCall::run` and `finish_call`. Between
// the first and the last the room only collects further events.
//
// Thread: its shard's.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.hpp"
#include "base/log.hpp"
#include "io/timer_heap.hpp"
#include "room/client_link.hpp"
#include "room/durable.hpp"
#include "room/inbox.hpp"
#include "room/message.hpp"
#include "room/policy.hpp"
#include "room/returning.hpp"
#include "room/room_asleep.hpp"
#include "room/service_call.hpp"
#include "service/service.hpp"

namespace jamsocket::room {

/// What a room needs of its shard.
class RoomHost {
 public:
  virtual ~RoomHost() = default;
  /// The room has events and no call under way.
  virtual void runnable(Room& room) = 0;
  /// The room broke down; its clients have been told.
  virtual void room_failed(Room& room) = 0;
  /// The room is over. It must be destroyed, but not before the current turn ends.
  virtual void room_ended(Room& room) = 0;
  /// What the room had in memory is freed; it may go on with clients.
  virtual void room_fell_asleep() = 0;
  /// The room sleeps, and all of it but its members is stored. Whether the host keeps those, by `move_to`, until
  /// somebody wakes the room, by `wake_from` in a new one: then this one must be destroyed, but not before the current
  /// turn ends.
  [[nodiscard]] virtual bool keep_asleep(Room& room) = 0;
  /// The turn's time; never goes back.
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  /// The turn's time in Unix milliseconds.
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  [[nodiscard]] virtual InboxPool& inboxes() = 0;
  /// Where what clients get leaves from, at the end of the turn.
  [[nodiscard]] virtual OutputArena& output() = 0;
  [[nodiscard]] virtual Counters& counters() = 0;
  [[nodiscard]] virtual Logger& logger() = 0;
  /// Counts it, and says so in the log at most once a second.
  virtual void limit_hit(Counter limit, const Room& room) = 0;
  /// Of the shard; null: nothing is kept.
  [[nodiscard]] virtual store::Journal* journal() = 0;
};

/// The same for all rooms of a service.
struct RoomSettings {
  ShutdownPolicy shutdown_policy;
  std::size_t inbox_bytes_max = std::size_t{4} << 20U;
  std::uint32_t clients_max = 10'000;
  std::chrono::milliseconds cpu_per_second_max{250};  ///< Beyond, other rooms go first.
  std::uint32_t log_lines_per_second_max = 1000;
  /// After a failure: whether the id stays valid and waits for its next client (rooms that were made
  /// explicitly), or the room is over (rooms that joining makes).
  enum class AfterFailure : std::uint8_t { End, StartAfresh } after_failure = AfterFailure::End;

  Durability durability = Durability::None;
  Upgrade upgrade = Upgrade::Keep;
  std::chrono::milliseconds sleep_after{300'000};  ///< Without an event. Its clients notice nothing.
  CheckpointPolicy checkpoints;
  GateLimits gate;
  AsidePolicy aside;
  ReturnSettings returning;
};

/// How long the bytes of a message stay where they are.
enum class PayloadStays : std::uint8_t {
  ForTheCall,  ///< No longer than the call that hands it over.
  ForTheTurn,  ///< Until the shard asks for `keep_events`.
};

class Room {
 public:
  Room(std::string id, service::Service& service, const RoomSettings& settings, RoomHost& host);
  ~Room();
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const RoomSettings& settings() const { return settings_; }
  [[nodiscard]] std::string_view service_name() const { return service_.name(); }
  /// In its life, for kept rooms also before the server started.
  [[nodiscard]] std::uint64_t events_handled() const { return last_event_; }
  [[nodiscard]] std::size_t client_count() const { return members_.size(); }
  [[nodiscard]] bool is_full() const;
  [[nodiscard]] std::size_t events_waiting() const {
    return (running_ != nullptr ? running_->waiting() : 0) + (waiting_ != nullptr ? waiting_->waiting() : 0);
  }
  /// Whether its clients should not be read for now; each gets `resume_reading` when that has passed.
  [[nodiscard]] bool inbox_is_full();

  // Of a durable room, behind the constructor:
  /// Asks the store for what it has of the room.
  void load(WhenMissing when_missing);
  /// The same as `load(Create)`, whatever it was asked for first, with an answer; one at a time.
  void create(std::move_only_function<void(Created)> answer);
  /// Whether somebody may come: a sentence if not.
  [[nodiscard]] std::optional<std::string_view> refusal() const;
  /// When its timer is due, in Unix milliseconds, for one that has ended and is stored; 0: it has none.
  [[nodiscard]] std::int64_t sleeps_until_ms() const { return durable_ ? durable_->side.timer_ms : 0; }

  /// Hands the members of a room that sleeps over: they hear `room_sleeps`.
  void move_to(RoomAsleep& asleep);
  /// Instead of `load`, for a room with members that slept: they hear `room_wakes`.
  void wake_from(const RoomAsleep& asleep);

  /// The client is a member at once; its `link` hears `admitted`, `refused` or `room_failed` later. One who comes
  /// back has its old id, and hears `numbered` and `admitted` at once.
  /// @param resume  the opaque token that the client was given when it was here before; empty: none.
  ClientId join(ClientLink& link, std::unique_ptr<service::ConnectInfo> info, std::string resume = {});
  /// Whether `join` would give somebody a place back, or a place of somebody who is there.
  [[nodiscard]] bool expects(std::string_view subject, std::string_view resume) const {
    return returning_ != nullptr && returning_->find(resume, subject).has_value();
  }
  /// The client is gone; `link` is not used from here on.
  void leave(ClientId client);
  /// The client goes once everything it said before has been handled: until then it is a member and
  /// hears answers. Ends with `left`, unless the room forgets the client for another reason first.
  void leave_in_order(ClientId client);
  /// `kind`: Text (valid UTF-8) or Binary.
  void message(service::EventKind kind, ClientId client, std::string_view payload,
               PayloadStays stays = PayloadStays::ForTheCall);
  /// What waits and whose bytes only stay for the turn is copied: they are about to be overwritten.
  void keep_events();
  /// Closes every client, and ends once their leaving was handled; a client that joins meanwhile keeps it going.
  void close(std::uint16_t code, std::string_view reason);
  /// Closes one client. @return whether there is one of that id.
  bool close_client(ClientId client, std::uint16_t code, std::string_view reason);
  /// Visits clients by rising id, until `visit` returns false.
  template <class Visit>
  void visit_clients(Visit visit) const {
    for (const Member& member : members_) {
      if (!visit(member.client, member.link->facts())) {
        return;
      }
    }
  }
  /// Of a durable room, for who changes what is stored of it: closes every client and ends, whatever its state, without
  /// another event: what waits to be handled is dropped. Nobody may join from here on.
  void let_go(std::uint16_t code, std::string_view reason);
  /// Begins to count towards the shutdown policy, for a room that was made without a client.
  void expect_clients();

  /// Whether its next call waits for a disk and a compiler first: it is not for a thread on which others wait.
  [[nodiscard]] bool must_load_code() const {
    return instance_ == nullptr && durable_ != nullptr && durable_->must_load(service_);
  }

  /// Sets `call` up for the next event.
  /// @return whether there is one.
  bool begin_call(ServiceCall& call);
  /// Applies what the call asked for, or ends the room.
  /// @return whether more events wait.
  bool finish_call(ServiceCall& call);

  // For the shard's queue of runnable rooms.
  enum class Queued : std::uint8_t { No, Yes };
  Queued queued = Queued::No;
  // Until then its calls start on a slow thread: one of them took long. The shard's, too.
  SteadyTime slow_until{};
  // CPU time of the second that began at `share_since`; over its share until then, it goes behind other rooms.
  std::chrono::nanoseconds share_used{};
  SteadyTime share_since{};
  SteadyTime over_share_until{};
  // Where the CPU time of the service's rooms is summed up; null: nowhere.
  std::atomic<std::uint64_t>* service_cpu_ns = nullptr;
  // What its service is called in paths, for the shard's table of rooms.
  std::string_view service_path;

 private:
  friend class Durable;
  friend class Returning;

  struct Member {
    ClientId client;
    bool leaving = false;  ///< Its Disconnect event waits already.
    ClientLink* link;
  };
  class ServiceTimer final : public io::TimerTarget {
   public:
    explicit ServiceTimer(Room& room) : room_(room) {}
    void on_timer() override { room_.service_timer_is_due(); }

   private:
    Room& room_;
  };
  class ShutdownTimer final : public io::TimerTarget {
   public:
    explicit ShutdownTimer(Room& room) : room_(room) {}
    void on_timer() override { room_.end_if_idle(); }

   private:
    Room& room_;
  };

  Inbox& waiting() {
    if (waiting_ == nullptr) {
      waiting_ = host_.inboxes().take();
    }
    return *waiting_;
  }
  [[nodiscard]] bool runs_soon() const { return !in_call_ && (!durable_ || durable_->state == Durable::State::Ready); }
  void first_message(service::EventKind kind, ClientId client, std::string_view payload, PayloadStays stays);
  void add_event(service::EventKind kind, ClientId client, std::string_view payload);
  void service_timer_is_due();
  void add_timer();
  void drop_events();
  void became_runnable() {
    if (durable_ && durable_->state == Durable::State::Asleep) [[unlikely]] {
      wake_up();
    } else if (!in_call_ && queued == Queued::No) {
      host_.runnable(*this);
    }
  }
  [[nodiscard]] bool has_events() const {
    return (running_ != nullptr && !running_->exhausted()) || (waiting_ != nullptr && !waiting_->exhausted());
  }
  std::vector<Member>::iterator find(ClientId client) {
    // Ids rise by one: where nobody in between has left, a member's place is its distance from the first.
    if (!members_.empty()) [[likely]] {
      const std::size_t distance =
          static_cast<std::uint32_t>(client) - static_cast<std::uint32_t>(members_.front().client);
      if (distance < members_.size() && members_[distance].client == client) [[likely]] {
        return members_.begin() + static_cast<std::ptrdiff_t>(distance);
      }
    }
    return search(client);
  }
  std::vector<Member>::iterator search(ClientId client);
  std::optional<Member> forget(ClientId client);

  /// What of an event's effects: those inside the room (timer, log), those outside (all that clients see), or all.
  enum class Part : std::uint8_t { All, Inside, Outside };

  void apply_start(const service::Effects& effects);
  template <Part kPart>
  void apply(const service::Effects& effects);
  template <Part kPart>
  void admit(ClientId client, const service::Effects& effects);
  void send(const service::Effect& effect, std::string_view payload);
  void set_timer(const service::Effect& effect);
  void write_log(const service::Effect& effect, std::string_view text);
  [[nodiscard]] bool may_log();
  void count_failure(const ServiceCall& call);
  void note_dropped_lines(const service::Effects& effects);
  void log_failure(std::string_view line, const ServiceCall& call);
  void fail(const ServiceCall& call);
  void start_afresh();
  void check_idle();
  void end_if_idle();
  void end();
  void retire();
  void resume_readers();
  /// Whether more events wait; if not, lets go of what was for them.
  bool leave_inbox() {
    if (has_events()) {
      return true;
    }
    drop_inbox();
    return false;
  }
  void drop_inbox();
  bool take_inbox();
  void forget_leaver(ClientId client);
  void take_created(ServiceCall& call);
  void begin_instance(ServiceCall& call);
  std::uint64_t send_to_all(Message& message, ClientId except);

  // room_returning.cpp
  void take_place(ClientId client, ClientLink& link);
  [[nodiscard]] bool stays(ClientId client) const;
  void go_absent(Member& member);
  void absence_over(ClientId client);
  bool pass_what_is_no_event();
  void pass_mark(ClientId client);

  // room_durable.cpp
  [[nodiscard]] bool may_run();
  bool finish_durable(ServiceCall& call);
  [[nodiscard]] bool take_instance(ServiceCall& call);
  void note_upgrade(Rebuild& rebuild);
  void schedule_timer_of_side();
  void store_birth(std::int64_t time_ms);
  void record(const service::Event& event, EventOutcome outcome, service::Effects& effects, Gated::What what);
  void undo(ServiceCall& call);
  [[nodiscard]] bool failed_too_often();
  void checkpoint_if_due();
  void checkpoint();
  void on_committed();
  void release(Gated::What what, service::EventKind kind, ClientId client, const service::Effects& effects);
  void release_undone(Gated::What what, service::EventKind kind, ClientId client);
  void on_found(Result<std::optional<store::StoredRoom>> stored);
  void cannot_be_read(std::string_view reason);
  void come_back_from_other_code(std::unique_ptr<Rebuild> rebuild);
  void on_missing();
  void come_back(std::unique_ptr<Rebuild> rebuild);
  void take_from(std::unique_ptr<Rebuild> rebuild);
  void let_arrivals_in();
  void turn_away(ClientId client);
  void set_aside(std::string_view reason);
  void come_from_aside();
  void look_up(store::Extent extent = store::Extent::Needed);
  void begin_afresh(store::RoomKey instead_of);

  // room_sleep.cpp
  void stay_awake();
  void fall_asleep();
  [[nodiscard]] bool is_all_stored();
  void wake_up();

  // room_let_go.cpp
  void end_once_let_go();
  void drop_call(ServiceCall& call);
  void drop_gated();

  std::string id_;
  service::Service& service_;
  const RoomSettings& settings_;
  RoomHost& host_;
  // The host's, at hand: each message needs them.
  Counters& counters_;
  OutputArena& output_;

  service::Seed seed_;
  std::unique_ptr<service::ServiceInstance> instance_;
  std::vector<Member> members_;  ///< By rising id.
  std::uint32_t last_client_ = 0;
  std::uint64_t last_event_ = 0;
  std::int64_t last_time_ms_ = 0;
  std::unique_ptr<Inbox> waiting_;  ///< Collects.
  std::unique_ptr<Inbox> running_;  ///< Is worked through; its bytes stay where they are meanwhile.
  bool in_call_ = false;
  bool ended_ = false;
  bool readers_paused_ = false;
  bool had_client_ = false;
  bool closing_ = false;           ///< Ends as soon as it is empty, whatever its policy says.
  bool timer_waits_ = false;       ///< An event of the service's timer is in an inbox.
  std::uint32_t timers_void_ = 0;  ///< Earlier ones there, for timers that were then set anew or cancelled.
  std::uint32_t log_lines_ = 0;    ///< In the second that began at `log_since_`.
  SteadyTime log_since_{};

  ServiceTimer on_service_timer_{*this};
  ShutdownTimer on_shutdown_timer_{*this};
  io::TimerNode service_timer_{on_service_timer_};
  io::TimerNode shutdown_timer_{on_shutdown_timer_};
  std::unique_ptr<Durable> durable_;      ///< Null: nothing of it is kept.
  std::unique_ptr<Returning> returning_;  ///< Null: nobody comes back.
};

}  // namespace jamsocket::room
