// server/process.hpp
//
// What a process does around a server: signals, open files, the log's looks.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "io/socket.hpp"
#include "server/server.hpp"

namespace jamsocket::server {

/// Call once, before any other thread starts: SIGINT and SIGTERM are blocked in this thread and in
/// those it starts, so that `run_until_signalled` alone takes them; SIGPIPE and SIGXFSZ are ignored; the
/// limit of open files is raised as far as the system lets us.
void prepare_process();

/// While it lives SIGINT and SIGTERM end the process at once, with exit code 0: for work that may take long, after
/// prepare_process and before there is a server to stop.
class EndsAtSignal {
 public:
  EndsAtSignal();
  ~EndsAtSignal();
  EndsAtSignal(const EndsAtSignal&) = delete;
  EndsAtSignal& operator=(const EndsAtSignal&) = delete;

 private:
  void watch() const;

  io::Socket signals_;
  io::Socket over_;
  std::jthread watcher_;
};

/// The listening sockets that whoever started this process has opened for it (systemd's socket activation); usually
/// none. Call once, before any other thread starts.
/// @error InvalidArgument  LISTEN_FDS is meant for this process and is no number from 0 to 64.
/// @source sd_listen_fds(3)
[[nodiscard]] Result<std::vector<io::Socket>> inherited_sockets();

/// Starts the server, on inherited sockets if there are some, calls `ready` with its port, waits for SIGINT, SIGTERM or
/// an operator, and stops it. A second signal ends the wait for clients at once. SIGHUP reloads, see Server::reload; if
/// the terminal that this was started from is gone it stops, too.
/// @return when it has stopped, or why it could not start.
[[nodiscard]] Result<void> run_until_signalled(Server& server, const std::function<void(std::uint16_t port)>& ready);

/// How to log on standard error. `format`: auto (text on a terminal, else JSON lines), text, json.
/// Colours only on a terminal, and not if NO_COLOR is set.
[[nodiscard]] LogOptions stderr_log_options(std::string_view level, std::string_view format);

/// Writes "listening on http://HOST:PORT" (or "listening on unix:/PATH") and a line end to standard output, at once,
/// for each place where the server listens.
void announce(const Server& server);

}  // namespace jamsocket::server
