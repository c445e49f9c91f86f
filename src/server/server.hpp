// server/server.hpp
//
// The whole server: listens, routes, runs the shards; started and stopped by whoever wires it.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "jamsocket/server.hpp"
#include "service/service.hpp"

namespace jamsocket::server {

/// What a server borrows; must outlive it.
struct Surroundings {
  Logger& logger;
  const Clock& clock;
};

class Server {
 public:
  /// Checks the options; opens nothing.
  /// @error InvalidArgument  an option's value; the message names the option and what is allowed.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(const ServerOptions& options,
                                                              std::unique_ptr<service::Service> service,
                                                              Surroundings surroundings);
  virtual ~Server() = default;

  /// Binds, listens, starts the shards' threads.
  /// @error Io  the address is taken or not ours, a directory cannot be read, ...
  [[nodiscard]] virtual Result<void> start() = 0;
  /// The port it listens on; 0 before start.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// The admin listener's port; 0: it is off, or before start.
  [[nodiscard]] virtual std::uint16_t admin_port() const = 0;
  /// What an operator's wish to stop the server leads to, instead of the first half of `stop`: the process's own way
  /// to end. Called on any thread; must not wait. Before `start`.
  virtual void on_stop_asked(std::function<void()> act) = 0;
  /// Stops accepting, closes every client with 1012, waits for their answers at most
  /// `drain_timeout`, ends the threads. Any thread; a second call while one waits ends it at once.
  virtual void stop() = 0;
  /// Wakes every shard: a test that moved a ManualClock lets the timers see it. When it returns, what was due
  /// has run.
  virtual void clock_moved() = 0;
};

}  // namespace jamsocket::server
