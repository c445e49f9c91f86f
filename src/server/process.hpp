// server/process.hpp
//
// What a process does around a server: signals, open files, the log's looks.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/log.hpp"
#include "base/result.hpp"
#include "server/server.hpp"

namespace jamsocket::server {

/// Call once, before any other thread starts: SIGINT and SIGTERM are blocked in this thread and in
/// those it starts, so that `run_until_signalled` alone takes them; SIGPIPE is ignored; the limit of
/// open files is raised as far as the system lets us.
void prepare_process();

/// Starts the server, calls `ready` with its port, waits for SIGINT, SIGTERM or an operator, and stops it. A
/// second signal ends the wait for clients at once.
/// @return when it has stopped, or why it could not start.
[[nodiscard]] Result<void> run_until_signalled(Server& server, const std::function<void(std::uint16_t port)>& ready);

/// How to log on standard error. `format`: auto (text on a terminal, else JSON lines), text, json.
/// Colours only on a terminal, and not if NO_COLOR is set.
[[nodiscard]] LogOptions stderr_log_options(std::string_view level, std::string_view format);

/// "http://127.0.0.1:8080", "http://[::1]:8080".
[[nodiscard]] std::string http_address(std::string_view host, std::uint16_t port);

/// Writes "listening on http://HOST:PORT" and a line end to standard output, at once.
void announce(std::string_view host, std::uint16_t port);

}  // namespace jamsocket::server
