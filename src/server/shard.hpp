// server/shard.hpp
//
// One event loop with its own rooms, sessions and timers. The only way in from another thread is `post`.
//
// A turn: wait; read what is ready into the rooms' inboxes; run the rooms that have events; write
// once to every session that was touched; destroy what is over. Everything a turn works on is a
// member: while a service call is under way nothing of the turn lives on the stack.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/tickets.hpp"
#include "base/slabs.hpp"
#include "io/event_loop.hpp"
#include "io/listener.hpp"
#include "io/tls_context.hpp"
#include "room/room.hpp"
#include "server/acceptor.hpp"
#include "server/arrival.hpp"
#include "server/failing_rooms.hpp"
#include "server/http_connection.hpp"
#include "server/limit_log.hpp"
#include "server/loop_stats.hpp"
#include "server/loop_threads.hpp"
#include "server/memory_watch.hpp"
#include "server/proxy_greeting.hpp"
#include "server/room_facts.hpp"
#include "server/room_table.hpp"
#include "server/router.hpp"
#include "server/run_queues.hpp"
#include "server/server.hpp"
#include "server/settings.hpp"
#include "server/slow_places.hpp"
#include "server/task_stack.hpp"
#include "session/client_session.hpp"
#include "store/journal.hpp"
#include "ws/frame.hpp"

namespace jamsocket::server {

class Shard;

/// What all shards of a server share. Immutable while they run, but for the services and the two counts.
struct Shared {
  const Settings& settings;
  const Services& services;
  Files files;
  Logger& logger;
  const Clock& clock;
  RoomNameHash room_hash;
  std::vector<std::unique_ptr<Shard>>& shards;
  std::atomic<std::uint32_t>& connection_count;
  std::atomic<std::uint32_t>& room_count;
  LoopThreads& threads;
  LimitLog& limit_log;
  MemoryWatch& memory;
  KeyedLimit* connections_by_address = nullptr;  ///< Null: they are not counted.
  KeyedLimit* connections_by_subject = nullptr;  ///< Null: they are not counted.
  KeyedLimit* rooms_by_address = nullptr;        ///< Null: they are not counted.
  store::Store* store = nullptr;                 ///< Null: nothing is kept.
};

class Shard final : public LoopOwner,
                    public room::SlowCallHost,
                    public room::RoomHost,
                    public session::SessionHost,
                    public HttpHost,
                    public GreetingHost,
                    public ArrivalHost,
                    public AcceptHost {
 public:
  using Task = std::move_only_function<void(Shard&)>;
  using TaskStack = jamsocket::server::TaskStack<Task>;

  [[nodiscard]] static Result<std::unique_ptr<Shard>> create(std::size_t number, const Shared& shared);
  ~Shard() override;

  /// Runs turns until the shard was drained or ended, or until a call took so long that another
  /// thread runs the turns.
  LoopEnd run() override;
  /// Runs `task` in the shard's loop, before it looks at its sockets again. Any thread.
  void post(Task task);

  // To be posted:
  /// To be called once; `listeners` must outlive the shard.
  void listen(std::span<const io::Listener> listeners);
  /// From here on connections begin with TLS; those that are there stay as they are.
  void use_tls(std::shared_ptr<const io::TlsContext> tls) { tls_ = std::move(tls); }
  /// Stops accepting, closes every client with 1012, then ends.
  void drain();
  /// Drops everything and ends.
  void end();
  /// Wakes a stored room of this shard when its timer is due.
  void wake_at(const RoomName& name, std::int64_t unix_ms);
  /// Closes the clients of the service's rooms with 1012; the rooms end once the service has heard of it.
  void close_rooms_of(const HostedService& service);

  // For operators, to be posted:
  [[nodiscard]] std::size_t room_count() const { return rooms_.size(); }
  /// Rooms whose id begins with `prefix`, at most `rooms_max`, in no particular order.
  [[nodiscard]] std::vector<RoomFacts> list_rooms(std::string_view prefix, std::size_t rooms_max) const;
  /// One room with at most `clients_max` of its clients; nullopt: there is none.
  [[nodiscard]] std::optional<RoomDetails> describe_room(const RoomName& name, std::size_t clients_max);
  /// Closes every client of the room and ends it. @return whether there is such a room.
  bool close_room(const RoomName& name, const Closing& closing);
  /// For who is about to change what is stored of a room: `gone` is called once nothing of it is in memory, and nobody
  /// gets in until `let_back`. Its clients are closed; where `closing` has no code, it must not be in memory.
  /// @return false: it must and is, or it is taken out already; `gone` is not called.
  [[nodiscard]] bool take_out(const RoomName& name, const Closing& closing, std::move_only_function<void()> gone);
  /// @param wakes  whether its timer may be set.
  void let_back(const RoomName& name, bool wakes);
  /// @return whether there are such a room and client.
  bool close_client(const RoomName& name, ClientId client, const Closing& closing);
  /// Takes back the tickets for rooms of this shard that the service's subject has not used. @return how many.
  std::size_t revoke_tickets(std::string_view service, std::string_view subject);

  /// Any thread.
  [[nodiscard]] const LoopStats& stats() const { return stats_; }
  [[nodiscard]] const Counters& shard_counters() const { return counters_; }

  // SlowCallHost
  service::CallMonitor::Verdict call_runs_long(room::ServiceCall& call) override;
  // RoomHost
  void runnable(room::Room& room) override;
  void room_failed(room::Room& room) override;
  void room_ended(room::Room& room) override;
  void room_fell_asleep() override { left_behind_bytes_ += kHeapOfInstance; }
  bool keep_asleep(room::Room& room) override;
  [[nodiscard]] SteadyTime steady_now() const override { return now_; }
  [[nodiscard]] std::int64_t unix_ms() const override { return unix_ms_; }
  [[nodiscard]] io::TimerHeap& timers() override { return timers_; }
  [[nodiscard]] room::InboxPool& inboxes() override { return inboxes_; }
  [[nodiscard]] Counters& counters() override { return counters_; }
  [[nodiscard]] Logger& logger() override { return shared_.logger; }
  void limit_hit(Counter limit, const room::Room& room) override;
  [[nodiscard]] store::Journal* journal() override { return journal_ ? &*journal_ : nullptr; }
  // SessionHost
  [[nodiscard]] std::span<char> receive_buffer() override {
    return std::span(receive_buffer_).subspan(received_bytes_);
  }
  void received(std::size_t bytes) override {
    received_bytes_ += bytes;
    counters_.add(Counter::BytesIn, bytes);
  }
  [[nodiscard]] const session::SessionSettings& session_settings() const override { return shared_.settings.session; }
  [[nodiscard]] io::EventLoop& loop() override { return *loop_; }
  [[nodiscard]] OutputArena& output() override { return output_; }
  [[nodiscard]] session::Tick tick() const override { return tick_; }
  void touched(session::ClientSession& session) override;
  [[nodiscard]] ws::Inflater& inflater() override { return inflater_; }
  [[nodiscard]] ws::Deflater& deflater() override { return deflater_; }
  void retire(session::ClientSession& session) override;
  void wake(room::RoomAsleep& asleep) override { (void)wake_room(asleep); }
  bool forget_asleep(room::RoomAsleep& asleep, ClientId client) override;
  [[nodiscard]] std::pmr::memory_resource& memory() override { return slabs_; }
  void limit_hit(Counter limit, const session::ClientSession& session) override;
  // GreetingHost
  void greeted(ProxyGreeting& greeting, const IpAddress& client) override;
  void not_greeted(ProxyGreeting& greeting, std::string_view reason, std::optional<Counter> limit) override;
  void token_came(session::ClientSession& session, std::string_view message) override;
  // HttpHost
  [[nodiscard]] const HttpSettings& http_settings() const override { return shared_.settings.http; }
  void route(HttpConnection& connection, const http::Request& request) override;
  void limit_hit(Counter limit, const HttpConnection& connection) override;
  void retire(HttpConnection& connection) override;
  // ArrivalHost
  void arrived(io::Stream stream, const io::PeerAddress& peer, session::Origin origin, SteadyTime deadline,
               std::string unread) override;
  void did_not_arrive() override;
  void limit_hit(Counter limit, const io::PeerAddress& peer) override;
  // AcceptHost
  void accepted(io::Socket socket, const io::PeerAddress& peer) override;

 private:
  enum class Phase : std::uint8_t {
    Running,
    Draining,  ///< Clients are on their way out; rooms still run.
    Ending,    ///< Nothing runs but the calls that are under way.
    Ended,
  };

  Shard(std::size_t number, const Shared& shared, std::unique_ptr<io::EventLoop> loop);

  // One turn.
  bool begin_next_call();
  [[nodiscard]] bool choose_room();
  void finish_call();
  [[nodiscard]] bool meter(room::Room& room);
  void end_turn_in_time();
  void charge(room::Room& room, std::chrono::nanoseconds cpu_time);
  void warn_of_overlong_call(std::chrono::nanoseconds took);
  [[nodiscard]] static bool may_fail_later(const room::ServiceCall& call);
  void put_off_failure(room::Room& room);
  void finish_failed_calls();
  void leave_room();
  void leave_queues(room::Room& room);
  void put_back_room();
  [[nodiscard]] std::unique_ptr<room::ServiceCall> make_call();
  void end_turn();
  void wait_and_read();
  void keep_waiting_events();
  void begin_calls();
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_wait() const;
  void read_clock();
  void run_tasks();
  void sweep_heartbeats();
  void destroy_retired();
  void notice_exodus();
  void give_memory_back();

  // Calls that take long: shard_slow.cpp.
  /// Its next calls do not cost the loop their first milliseconds.
  void start_aside(room::Room& room);
  void start_slow(room::Room& room);
  void finish_slow(room::ServiceCall& call);
  void went_slow(room::ServiceCall& call);
  void hasten_slow_calls();
  bool hasten(room::ServiceCall& call);

  // Connections and rooms.
  /// A connection that was counted and is ready for its first request, of which `unread` has come.
  void begin_http(io::Stream stream, session::Watched watched, const io::PeerAddress& peer, session::Origin origin,
                  SteadyTime deadline, std::string unread);
  /// A connection of which it is known who opened it.
  void admit(io::Socket socket, const io::PeerAddress& peer, const IpAddress& client, SteadyTime deadline);
  void refuse(const io::Socket& socket, int status, std::string_view reason);
  void limit_hit(Counter limit, std::string_view who);
  void limit_hit(Counter limit, const HostedService& service, std::string_view room_id);
  [[nodiscard]] bool speaks_for_others(const io::PeerAddress& peer) const;
  [[nodiscard]] std::optional<KeyedLimit::Place> place_for(const IpAddress& client);
  /// Whether there is a place among those of the client's subject, which the session then has.
  [[nodiscard]] bool take_subjects_place(const RoomName& name, session::ClientSession& session,
                                         std::string_view subject);
  [[nodiscard]] bool may_make_room(const IpAddress& maker);
  [[nodiscard]] http::ForwardedFor client_behind(const http::Request& request) const;
  void retire(ProxyGreeting& greeting);
  void drop_greetings();
  // Shedding load.
  void watch_memory();
  void shed_slowest();
  void answer(std::uint64_t connection, const http::Response& response);
  void note_refusal(Counter kind, const std::string& remote_address);
  [[nodiscard]] Shard& owner_of(const RoomName& name);
  void take_upgrade(HttpConnection& connection, JoinRoom join, const IpAddress& client);
  void join(const RoomName& name, session::Upgraded upgraded, std::unique_ptr<service::ConnectInfo> info,
            Admission admission);
  [[nodiscard]] bool use_ticket(const RoomName& name, Admission& admission, service::ConnectInfo& info);
  void let_in(const RoomName& name, const HostedServicePtr& service, session::ClientSession& session,
              std::unique_ptr<service::ConnectInfo> info, const Admission& admission);
  void join_in(const RoomName& name, const HostedServicePtr& service, session::ClientSession& session,
               std::unique_ptr<service::ConnectInfo> info, const Admission& admission);
  [[nodiscard]] Milliseconds rest_of(const RoomName& name) const;
  [[nodiscard]] bool is_taken_out(const RoomName& name) const {
    return !taken_out_.empty() && taken_out_.contains({std::string(name.service), std::string(name.id)});
  }
  using Reply = std::move_only_function<void(http::Response)>;
  void make_room(const RoomName& name, const IpAddress& maker, Reply reply);
  /// Wakes it if it sleeps. Null: there is none.
  room::Room* find_room(const RoomName& name);
  room::Room& wake_room(const room::RoomAsleep& asleep);
  /// Null: there are as many rooms as may be.
  room::Room* make(const RoomName& name, const HostedServicePtr& service, room::WhenMissing when_missing);
  void make_room_for(std::uint64_t connection, MakeRoom wanted);

  // Tokens and tickets: shard_tokens.cpp.
  /// Whether what the request brings lets it in: then who it is.
  [[nodiscard]] std::expected<auth::Identity, http::Response> check_token(const HostedService& service,
                                                                          std::string_view room_id,
                                                                          const Credential& credential);
  /// Answers the request itself, and then returns false.
  [[nodiscard]] bool may_ask(HttpConnection& connection, const std::string& remote_address, std::string_view service,
                             std::string_view room_id, const Credential& credential);
  [[nodiscard]] bool may_join(HttpConnection& connection, JoinRoom& join);
  [[nodiscard]] http::Response issue_ticket(const RoomName& name, auth::Identity identity,
                                            const auth::TicketLimits& limits);
  void issue_ticket_for(HttpConnection& connection, const std::string& remote_address, IssueTicket wanted);
  void await_token(const RoomName& name, session::ClientSession& session, std::unique_ptr<service::ConnectInfo> info,
                   const TokenSettings& tokens);
  void flush_journal();
  void wake_for_timer(const room::Room& room);
  void wake_sleepers();
  void generate_room_for(std::uint64_t connection, GenerateRoom wanted, unsigned attempts_left);
  void stop_accepting();
  void close_some_clients();
  void check_drained();

  const std::size_t number_;
  const Shared& shared_;
  std::unique_ptr<io::EventLoop> loop_;
  io::TimerHeap timers_;
  OutputArena output_{ws::append_frame};
  room::InboxPool inboxes_;
  Counters counters_;
  LoopStats stats_;
  ws::Inflater inflater_;
  ws::Deflater deflater_;
  std::vector<char> receive_buffer_;
  std::size_t sockets_of_turn_ = 0;  ///< How many were ready and looked at.
  bool answers_only_ = true;         ///< In the last turn, no more clients got something than spoke.
  std::size_t received_bytes_ = 0;   ///< At its front, in this turn: events that wait may refer to them.

  SteadyTime now_;
  SteadyTime started_;
  std::int64_t unix_ms_ = 0;
  session::Tick tick_ = 0;

  Slabs slabs_;  ///< Of sessions, and of rooms that sleep.
  RoomTable rooms_;
  FailingRooms failing_rooms_;
  std::vector<std::unique_ptr<session::ClientSession>> sessions_;
  std::unordered_map<std::uint64_t, std::unique_ptr<HttpConnection>> connections_;
  std::unordered_map<std::uint64_t, std::unique_ptr<ProxyGreeting>> greetings_;
  std::uint64_t last_connection_ = 0;
  auth::Tickets tickets_;
  struct AwaitsToken {
    std::string service;
    std::string room_id;
    std::unique_ptr<service::ConnectInfo> info;
  };
  std::unordered_map<const session::ClientSession*, AwaitsToken> await_tokens_;
  SteadyTime token_second_;                    ///< When the second began in which
  std::chrono::nanoseconds token_used_{};      ///< so much was spent on checking tokens.
  std::shared_ptr<const io::TlsContext> tls_;  ///< Null: connections are plain.
  Arrivals arrivals_;
  std::vector<std::unique_ptr<session::ClientSession>> retired_sessions_;
  std::vector<std::unique_ptr<HttpConnection>> retired_connections_;
  std::vector<std::unique_ptr<ProxyGreeting>> retired_greetings_;

  // The turn.
  std::span<const epoll_event> ready_;  ///< Of the last wait; looked at up to `next_ready_`.
  std::size_t next_ready_ = 0;
  RunQueues<room::Room> runnable_;
  room::Room* current_ = nullptr;            ///< Its events are being handled; in no queue meanwhile.
  std::unique_ptr<room::ServiceCall> call_;  ///< On the loop.
  std::vector<std::unique_ptr<room::ServiceCall>> slow_calls_;   ///< On slow threads.
  std::deque<std::unique_ptr<room::ServiceCall>> failed_calls_;  ///< To be finished, some each turn.
  SlowPlaces<room::Room> slow_places_;                           ///< Of these, and who waits for one.
  io::CallbackTimer slow_timer_{[this] { hasten_slow_calls(); }};
  std::uint32_t events_left_for_room_ = 0;
  std::uint32_t events_left_for_turn_ = 0;
  SteadyTime coarse_;        ///< When the last call ended, or the turn's calls began.
  SteadyTime calls_began_;   ///< Those of the turn.
  SteadyTime next_warning_;  ///< Of overlong calls: one a second.
  std::vector<session::ClientSession*> touched_;
  std::size_t sweep_at_ = 0;
  SteadyTime next_sweep_;

  std::optional<store::Journal> journal_;
  io::CallbackTimer journal_timer_{[this] { journal_->flush(); }};
  struct Sleeper {
    std::int64_t due_ms;
    std::string service;
    std::string room_id;
    friend auto operator<=>(const Sleeper&, const Sleeper&) = default;
  };
  std::set<Sleeper> sleepers_;  ///< Stored rooms by when their timer is due.
  io::CallbackTimer sleepers_timer_{[this] { wake_sleepers(); }};
  /// Rooms that are changed on disk, by service and id; with who waits for the room to go, until it has.
  std::map<std::pair<std::string, std::string>, std::move_only_function<void()>> taken_out_;

  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  // Since freed memory was last given back:
  // What an instance of a small module leaves in the heap, about.
  static constexpr std::size_t kHeapOfInstance = std::size_t{8} << 10U;
  std::size_t most_held_ = 0;          ///< Rooms and sessions.
  std::size_t left_behind_bytes_ = 0;  ///< What those that left still held, and rooms that fell asleep.
  io::CallbackTimer exodus_timer_{[this] { give_memory_back(); }};
  io::CallbackTimer memory_timer_{[this] { watch_memory(); }};
  SteadyTime next_shedding_{};
  io::CallbackTimer drain_timer_{[this] { close_some_clients(); }};
  io::CallbackTimer drain_deadline_{[this] { end(); }};
  Phase phase_ = Phase::Running;

  TaskStack tasks_;  ///< The one door across threads: docs/decisions/0006-one-door-between-threads.md
};

}  // namespace jamsocket::server
