// session/client_session.hpp
//
// One client: from the upgrade that its room will answer to the closed socket.
//
//   Awaiting   the upgrade was answered, and the first message is to say who the client is
//   Joining    its room decides; nothing is read, and nothing was answered but to one that was Awaiting
//   Open       messages both ways
//   Leaving    the peer closed or broke the rules; what it said before is still being answered
//   Closing    our Close frame is out, the peer's is awaited; what else comes is ignored
//   Lingering  nothing more to say: the peer reads to the end, then the socket closes
//   Gone       the socket is closed; destroyed when the turn ends
//
// Thread: its shard's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "base/log.hpp"
#include "io/event_loop.hpp"
#include "io/stream.hpp"
#include "io/timer_heap.hpp"
#include "room/room.hpp"
#include "session/inbound.hpp"
#include "session/origin.hpp"
#include "session/outbox.hpp"
#include "ws/deflate.hpp"
#include "ws/message_reader.hpp"

namespace jamsocket::session {

class ClientSession;

/// Coarse time, a tenth of a second: fine enough for heartbeats, small enough for every session.
using Tick = std::uint32_t;
inline constexpr Milliseconds kTickLength{100};

struct SessionSettings {
  ws::ReaderLimits reader;
  OutboxLimits outbox;
  InboundLimits inbound;
  Tick ping_after{250};  ///< Of silence.
  Tick dead_after{600};  ///< Of silence.
  Milliseconds join_timeout{10'000};
  Milliseconds message_timeout{30'000};
  Milliseconds close_timeout{2'000};
};

/// What a client may use before its token has come.
struct TokenBudget {
  std::size_t bytes_max = 8192;  ///< Of frames, their headers included.
  Milliseconds timeout{5'000};
};

/// What a session needs of its shard.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  /// Shared by all sessions: where to read to. What `received` reports stays there until the rooms have run, and is
  /// then overwritten.
  [[nodiscard]] virtual std::span<char> receive_buffer() = 0;
  virtual void received(std::size_t bytes) = 0;
  [[nodiscard]] virtual const SessionSettings& session_settings() const = 0;
  [[nodiscard]] virtual io::EventLoop& loop() = 0;
  [[nodiscard]] virtual OutputArena& output() = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  [[nodiscard]] virtual Counters& counters() = 0;
  [[nodiscard]] virtual Logger& logger() = 0;
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  [[nodiscard]] virtual Tick tick() const = 0;
  /// `end_turn` of this session is to be called before the turn ends; asked at most once a turn.
  virtual void touched(ClientSession& session) = 0;
  /// For the messages of all sessions without context takeover.
  [[nodiscard]] virtual ws::Inflater& inflater() = 0;
  [[nodiscard]] virtual ws::Deflater& deflater() = 0;
  /// The first message of a session that `await_token` was called for; leads to `join`, `reject` or `turn_away`.
  virtual void token_came(ClientSession& session, std::string_view message) = 0;
  /// To be destroyed, but not before the turn ends.
  virtual void retire(ClientSession& session) = 0;
  /// Brings a room back that sleeps: its members hear `room_wakes`.
  virtual void wake(room::RoomAsleep& asleep) = 0;
  /// Instead of that, where all clients leave because everything stops: who comes back finds nobody there, and the
  /// service hears so then. @return whether it is so; then the room has forgotten the client.
  virtual bool forget_asleep(room::RoomAsleep& asleep, ClientId client) = 0;
  /// Where sessions lie.
  [[nodiscard]] virtual std::pmr::memory_resource& memory() = 0;
  /// Counts it, and says so in the log at most once a second.
  virtual void limit_hit(Counter limit, const ClientSession& session) = 0;
};

/// Whether the session's event loop watches the socket, perhaps for somebody else.
enum class Watched : std::uint8_t { No, Yes };

/// A connection whose upgrade request was found good, on its way to its room.
struct Upgraded {
  io::Stream stream;
  std::string response;  ///< The 101, to be sent once the room lets the client in.
  std::string unread;    ///< What the client sent behind the request.
  Watched watched = Watched::No;
  std::optional<ws::DeflateAgreement> deflate{};
  std::unique_ptr<Origin> origin{};  ///< Null: the socket's peer is the client, and nobody counts it.
};

class ClientSession final : public io::EventHandler, public room::ClientLink, public io::TimerTarget {
 public:
  ~ClientSession() override;
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;
  /// In the host's memory for sessions.
  [[nodiscard]] static std::unique_ptr<ClientSession> make(Upgraded upgraded, SessionHost& host);
  static void operator delete(ClientSession* session, std::destroying_delete_t);

  /// Asks the room in. To be called once, first.
  void join(room::Room& room, std::unique_ptr<service::ConnectInfo> info, const std::string& resume = {});
  /// A place among the connections of its subject, until it ends.
  void keep(KeyedLimit::Place subjects_place);
  /// Before `join`: accepts the upgrade, and waits for one text message, for SessionHost::token_came.
  void await_token(const TokenBudget& budget);
  /// Closes the client with 4401 when that time has passed, whatever it does until then.
  void expire_in(Milliseconds from_now);
  /// Bytes of what has come incomplete and of what waits to be sent; others may hold the latter, too.
  [[nodiscard]] std::size_t held_bytes() const { return reader_.held_bytes() + outbox_.queued_bytes(); }
  /// Whether it is not yet on its way out.
  [[nodiscard]] bool is_open() const {
    return state_ == State::Awaiting || state_ == State::Joining || state_ == State::Open;
  }
  /// Instead of `join`: answers the upgrade with `status`, one sentence as the body, and closes. Where the upgrade was
  /// answered already: closes with the code that stands for `status`, 4401 for 401, 4403, 4404, 1013 for 503.
  void reject(int status, std::string_view reason);
  /// Instead of `join`: accepts the upgrade and closes with `code`, which a browser's page can see.
  void turn_away(std::uint16_t code, std::string_view reason);
  /// Writes what the turn queued, and acts on what was put off until now.
  void end_turn();
  /// Pings a silent client, gives a dead one up.
  void heartbeat(Tick now);
  /// What waits for its socket.
  [[nodiscard]] std::size_t queued_bytes() const { return outbox_.queued_bytes(); }
  /// The client's address as text.
  [[nodiscard]] std::string remote_address() const;
  /// Leaves the room and closes with `code`.
  void leave_and_close(std::uint16_t code, std::string_view reason);
  /// Leaves the room and drops the connection without a word.
  void drop();

  // EventHandler
  void on_ready(std::uint32_t events) override;
  // ClientLink
  void subprotocol_accepted(std::string_view name) override;
  void admitted() override;
  void refused(std::string_view reason) override;
  void room_failed() override;
  void push(room::Message& message) override;
  void close(std::uint16_t code, std::string_view reason) override;
  void left() override;
  void resume_reading() override;
  [[nodiscard]] room::LinkFacts facts() const override;
  void room_sleeps(room::RoomAsleep& asleep) override;
  void room_wakes(room::Room& room) override;
  void numbered(ClientId client) override { client_ = client; }
  void can_return(std::string_view resume, const room::Telling& telling) override;
  void room_unknown() override;
  void unavailable(std::string_view reason) override;
  // TimerTarget
  void on_timer() override;

  std::uint32_t index = 0;  ///< In the shard's list of sessions; the shard's own.

 private:
  ClientSession(Upgraded upgraded, SessionHost& host);

  enum class State : std::uint8_t { Awaiting, Joining, Open, Leaving, Closing, Lingering, Gone };
  /// What remembers earlier messages, in either direction.
  struct Contexts {
    std::optional<ws::Inflater> inflater;
    std::optional<ws::Deflater> deflater;
    std::size_t bytes = 0;  ///< As counted.
  };
  struct Handshake {
    std::string response;
    std::string unread;
    TokenBudget budget{};
    std::string resume{};  ///< To be told by the first message; empty: not so.
  };
  class Expiry;

  void send_upgrade();
  void tell_resume();
  void close_instead_of(int status, std::string_view reason);
  void push_slice(Slice slice);
  void flush_and_push(Slice slice);
  [[nodiscard]] Slice encode_plain(const room::Message& message);
  [[nodiscard]] Slice encode_deflated(room::Message& message, ws::Deflater& deflater);
  [[nodiscard]] ws::Inflation inflation();
  void read();
  void pause_reading();
  [[nodiscard]] bool must_pause(std::span<char> rest, SteadyTime now);
  void go_on_reading();
  void discard_input();
  void look_again();
  void consume(std::span<char> input, room::PayloadStays stays);
  void consume_awaiting(std::span<char> input);
  void take_token(std::string_view message, std::span<const char> rest);
  void notice_end();
  void answer_ping(std::string_view payload);
  void peer_closed(const ws::ReadStep& step);
  void protocol_failure(const ws::ReadStep& step);
  void start_close(std::uint16_t code, std::string_view reason);
  void leave_with(std::string last_frame);
  void say_last_and_linger();
  void linger();
  void leave_room();
  void wake_room();
  void flush(Outbox::Writable writable);
  void watch();
  void update_message_deadline();
  void set_deadline(Milliseconds from_now);
  void expired();
  void mark_touched() {
    if (!touched_) {
      touched_ = true;
      host_.touched(*this);
    }
  }

  SessionHost& host_;
  room::Room* room_ = nullptr;          ///< Null once one has forgotten the other, and while it sleeps.
  room::RoomAsleep* asleep_ = nullptr;  ///< While it sleeps.
  io::Stream stream_;
  ClientId client_{};
  ws::MessageReader reader_;
  Outbox outbox_;
  std::unique_ptr<Handshake> handshake_;     ///< While Joining, and until its unread bytes are consumed.
  std::unique_ptr<std::string> last_frame_;  ///< While Leaving.
  std::unique_ptr<Contexts> contexts_;       ///< With context takeover only.
  std::unique_ptr<Inbound> inbound_;         ///< Where a client's rate is limited.
  std::unique_ptr<Origin> origin_;
  std::unique_ptr<Expiry> expiry_;  ///< Of a token.
  std::optional<ws::DeflateAgreement> deflate_;
  std::unique_ptr<io::TimerNode> deadline_;  ///< Of the state, or of an incomplete message.
  Tick last_seen_;
  Tick last_ping_;
  State state_ = State::Joining;
  bool watched_ : 1;  ///< In the event loop.
  bool touched_ : 1 = false;
  bool overflowed_ : 1 = false;
  bool reading_paused_ : 1 = false;
  bool reads_little_ : 1 = false;  ///< Its room was behind, and there was always more to read since.
  bool wants_writable_ : 1 = false;
  bool write_ended_ : 1 = false;
  bool upgraded_ : 1 = false;  ///< The 101 was sent.
};

}  // namespace jamsocket::session
