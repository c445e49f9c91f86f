// server/http_connection.hpp
//
// One connection while it speaks HTTP: from accept to its last answer, or to the upgrade, when its
// socket moves on to a ClientSession.
//
//   Reading    a request is awaited or under way
//   Answering  the router has the request, perhaps on another shard; nothing is read meanwhile
//   Writing    the answer did not fit the socket's buffer
//   Lingering  our side has ended; the peer reads to the end
//   Gone       the socket is closed or handed on; destroyed when the turn ends
//
// Thread: its shard's.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/counters.hpp"
#include "http/request.hpp"
#include "http/request_parser.hpp"
#include "http/response.hpp"
#include "io/event_loop.hpp"
#include "io/stream.hpp"
#include "io/timer_heap.hpp"
#include "server/settings.hpp"
#include "server/static_files.hpp"
#include "session/client_session.hpp"
#include "session/origin.hpp"

namespace jamsocket::server {

class HttpConnection;

/// What an HTTP connection needs of its shard.
class HttpHost {
 public:
  virtual ~HttpHost() = default;
  [[nodiscard]] virtual std::span<char> receive_buffer() = 0;
  [[nodiscard]] virtual io::EventLoop& loop() = 0;
  [[nodiscard]] virtual io::TimerHeap& timers() = 0;
  [[nodiscard]] virtual Counters& counters() = 0;
  [[nodiscard]] virtual SteadyTime steady_now() const = 0;
  [[nodiscard]] virtual std::int64_t unix_ms() const = 0;
  [[nodiscard]] virtual const HttpSettings& http_settings() const = 0;
  /// Leads to `respond` or `hand_over`, at once or later.
  virtual void route(HttpConnection& connection, const http::Request& request) = 0;
  /// What a request is answered with that is none, or goes beyond a limit.
  [[nodiscard]] virtual http::Response refusal(int status, std::string_view reason) const {
    return http::text_response(status, reason);
  }
  /// Whether the body of this request may take any time, as long as it goes on.
  [[nodiscard]] virtual bool may_take_long(const http::Request& /*request*/) const { return false; }
  /// Counts it, and says so in the log at most once a second.
  virtual void limit_hit(Counter limit, const HttpConnection& connection) = 0;
  /// To be destroyed, but not before the turn ends.
  virtual void retire(HttpConnection& connection) = 0;
};

class HttpConnection final : public io::EventHandler, public io::TimerTarget {
 public:
  enum class Then : std::uint8_t { KeepAlive, Close };

  /// @param watched  whether the event loop watches the socket, for nothing at the moment.
  /// @param origin  its address is the client's, if a proxy has said so in front of the connection, else the peer's.
  HttpConnection(std::uint64_t id, io::Stream stream, session::Watched watched, const io::PeerAddress& peer,
                 session::Origin origin, HttpHost& host);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Begins to read, with what was received already. Unlike the constructor it may end in `retire`.
  /// @param deadline  of the first request, whole.
  void start(SteadyTime deadline, std::string unread = {});
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] const io::PeerAddress& peer() const { return peer_; }
  /// Whether nobody whose time is respected would miss it: it is to send a request yet, or to read an answer's end.
  [[nodiscard]] bool may_make_way() const;
  /// Bytes of requests not parsed and of the answer under way.
  [[nodiscard]] std::size_t held_bytes() const { return unread_.size() + out_.size(); }
  [[nodiscard]] const session::Origin& origin() const { return origin_; }
  /// Before `hand_over`: gives away its place among the counted.
  [[nodiscard]] session::Origin take_origin() { return std::move(origin_); }

  /// Answers the request that `route` got.
  void respond(StaticResponse response, Then then = Then::KeepAlive);
  /// Gives the socket away, with `response` to be sent once the room agrees; this connection is over.
  /// `watched`: whether the event loop goes on watching it, for a session that stays on this shard.
  [[nodiscard]] session::Upgraded hand_over(std::string response, session::Watched watched);
  /// After the answer under way, or at once when idle, the connection ends.
  void drain();
  void drop();

  void on_ready(std::uint32_t events) override;
  void on_timer() override;

 private:
  enum class State : std::uint8_t { Reading, Answering, Writing, Lingering, Gone };

  void read();
  void process();
  void notice_end();
  void go_on_with_body();
  void handle_request();
  void refuse(const http::ParseStep& step);
  void write();
  [[nodiscard]] bool read_more_of_file();
  void answered();
  void watch(std::uint32_t events);
  void set_deadline(Milliseconds from_now);

  std::uint64_t id_;
  HttpHost& host_;
  io::Stream stream_;
  io::PeerAddress peer_;
  session::Origin origin_;
  http::RequestParser parser_;
  std::string unread_;  ///< Received and, from `unread_at_` on, not parsed.
  std::size_t unread_at_ = 0;
  std::string out_;
  std::size_t written_ = 0;        ///< Of `out_`.
  std::optional<FileSlice> file_;  ///< What follows `out_`.
  io::TimerNode deadline_{*this};
  std::uint32_t watched_events_;  ///< 0: not watched.
  State state_ = State::Reading;
  Then then_ = Then::KeepAlive;
  bool keep_alive_wanted_ = true;
  bool head_only_ = false;
  bool draining_ = false;
  bool processing_ = false;
};

}  // namespace jamsocket::server
