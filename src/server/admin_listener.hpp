// server/admin_listener.hpp
//
// The second listener, for operators: HTTP on a thread and a loop of its own, so that a scrape never waits for a room
// and a room never for a scrape.
//
// Who may ask: anybody who reaches the address, if no token is set (then the address is of this machine), else who has
// the token. Never a browser on behalf of somebody's page: a request with an Origin, or for a host name that is not
// ours, is refused.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "io/listener.hpp"
#include "server/acceptor.hpp"
#include "server/admin_query.hpp"
#include "server/http_connection.hpp"
#include "server/settings.hpp"
#include "server/task_stack.hpp"

namespace jamsocket::server {

class AdminListener;

/// The one answer to one request. Any thread; only the first `send` counts, and only in time.
class AdminReply {
 public:
  AdminReply(AdminListener& listener, std::uint64_t call) : listener_(&listener), call_(call) {}
  void send(http::Response response) const;

 private:
  AdminListener* listener_;
  std::uint64_t call_;
};

/// A request that was found allowed.
struct AdminCall {
  const http::Request& request;    ///< With its body; valid until the handler returns.
  std::vector<std::string> names;  ///< What stands for the {names} of the path, decoded once.
  AdminQuery query;
  AdminReply reply;
  std::string peer;  ///< The address that asks.
};

/// One line of the table of what can be asked.
struct AdminRoute {
  http::Method method = http::Method::Get;
  std::string_view path;   ///< Segments in braces match any one segment: "/admin/rooms/{room}".
  std::string_view query;  ///< The names that its query may have, "prefix limit"; "*": any, and nobody looks.
  enum class Access : std::uint8_t { Token, Everybody } access = Access::Token;
  std::function<void(AdminCall)> handle;  ///< On the listener's thread; must not wait.
  Milliseconds answer_timeout{5'000};     ///< Then it is answered with 503.
  std::size_t body_bytes_max = 0;         ///< For who may ask it; 0, and for all others: 64 KiB. Beyond: 413.
};

/// What `admin.token_file` has as its first line. Empty path: empty, nobody is asked for a token.
/// @error Io, InvalidArgument  it cannot be read, or is too short, or nothing that a header can have.
[[nodiscard]] Result<std::string> read_admin_token(const std::string& path);

/// Lines of the log that somebody outside can bring about.
class OncePerSecond {
 public:
  [[nodiscard]] bool may_say(SteadyTime now) {
    const bool may = now - said_ >= std::chrono::seconds(1);
    said_ = may ? now : said_;
    return may;
  }

 private:
  SteadyTime said_{};
};

class AdminListener final : public HttpHost, public AcceptHost {
 public:
  using Task = std::move_only_function<void(AdminListener&)>;

  /// Binds and listens. `logger` and `clock` must outlive it.
  /// @error Io, InvalidArgument  the address; the token's file cannot be read or is too short.
  [[nodiscard]] static Result<std::unique_ptr<AdminListener>> open(const AdminSettings& settings, Logger& logger,
                                                                   const Clock& clock);
  ~AdminListener() override;

  /// Besides the one of the file, for the commands of this machine; before `start`. Nothing changes where no token is
  /// asked for.
  void accept_also(std::string token) { own_token_ = std::move(token); }
  /// Whether one must be sent.
  [[nodiscard]] bool asks_for_token() const { return !token_file_.empty(); }
  /// Starts its thread. Call once.
  void start(std::vector<AdminRoute> routes);
  /// Ends it, connections and all. Any thread but its own.
  void stop();
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  /// Reads the token's file again. Any thread.
  /// @error Io, InvalidArgument  as above; the token that was read before goes on to count.
  [[nodiscard]] Result<void> reload();
  /// Into the log, at most once a second: who asked for a service that cannot be had, and why not. Its own thread.
  void log_service_refused(std::string_view peer, std::string_view service, std::string_view reason);
  /// Runs `task` in its loop. Any thread, also after `stop`: then it does nothing.
  void post(Task task);
  /// Answers a call that still waits. Its own thread.
  void answer(std::uint64_t call, const http::Response& response);

  // HttpHost and AcceptHost
  [[nodiscard]] std::span<char> receive_buffer() override { return receive_buffer_; }
  [[nodiscard]] io::EventLoop& loop() override { return *loop_; }
  [[nodiscard]] io::TimerHeap& timers() override { return timers_; }
  [[nodiscard]] Counters& counters() override { return counters_; }
  [[nodiscard]] Logger& logger() override { return logger_; }
  [[nodiscard]] SteadyTime steady_now() const override { return now_; }
  [[nodiscard]] std::int64_t unix_ms() const override { return clock_.unix_ms(); }
  [[nodiscard]] const HttpSettings& http_settings() const override { return http_; }
  void route(HttpConnection& connection, const http::Request& request) override;
  [[nodiscard]] http::Response refusal(int status, std::string_view reason) const override;
  [[nodiscard]] bool may_take_long(const http::Request& request) const override;
  void limit_hit(Counter limit, const HttpConnection& /*connection*/) override { counters_.add(limit); }
  void retire(HttpConnection& connection) override;
  void accepted(io::Socket socket, const io::PeerAddress& peer) override;

 private:
  struct Waiting {
    std::uint64_t connection = 0;
    std::unique_ptr<io::CallbackTimer> deadline;
  };

  AdminListener(io::Listener listener, std::unique_ptr<io::EventLoop> loop, std::string token_file, std::string token,
                Logger& logger, const Clock& clock);
  void run();
  [[nodiscard]] bool make_room();
  [[nodiscard]] bool has_token(const http::Request& request) const;
  [[nodiscard]] std::size_t body_bytes_max_for(const http::Request& request) const;
  void begin_call(HttpConnection& connection, const http::Request& request, const AdminRoute& route,
                  std::vector<std::string> names);

  io::Listener listener_;
  std::unique_ptr<io::EventLoop> loop_;
  const std::string token_file_;
  std::string token_;
  std::string own_token_;
  Logger& logger_;
  const Clock& clock_;
  HttpSettings http_;
  std::vector<AdminRoute> routes_;
  std::vector<char> receive_buffer_;
  Counters counters_;
  TaskStack<Task> tasks_;
  SteadyTime now_;
  OncePerSecond refusals_;
  OncePerSecond service_refusals_;
  bool ending_ = false;

  io::TimerHeap timers_;
  std::unordered_map<std::uint64_t, std::unique_ptr<HttpConnection>> connections_;
  std::vector<std::unique_ptr<HttpConnection>> retired_;
  std::uint64_t last_connection_ = 0;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::vector<Waiting> answered_;  ///< Until the turn ends: a timer may be the one that runs.
  std::uint64_t last_call_ = 0;
  std::unique_ptr<Acceptor> acceptor_;
  std::thread thread_;
};

/// An answer in JSON: `body` is it, serialised.
[[nodiscard]] http::Response json_response(int status, std::string body);
/// {"error": sentence}
[[nodiscard]] http::Response error_response(int status, std::string_view sentence);

}  // namespace jamsocket::server
