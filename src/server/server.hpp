// server/server.hpp
//
// The whole server: listens, routes, runs the shards; started and stopped by whoever wires it.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/endpoint.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "io/socket.hpp"
#include "jamsocket/server.hpp"
#include "service/service.hpp"

namespace jamsocket::server {

class ServiceMaker;

/// What a server borrows; must outlive it.
struct Surroundings {
  Logger& logger;
  const Clock& clock;
  ServiceMaker* maker = nullptr;  ///< For operators who add services; null: they cannot.
};

/// A service and what its rooms are like.
struct OfferedService {
  std::string name;  ///< Its rooms are at /ws/{name}/{room}; empty: at /ws/{room}.
  std::unique_ptr<service::Service> service;
  ServerOptions options{};  ///< Those about rooms count; static_dir of a named one is served at /{name}/.
};

/// Makes services of what operators write.
class ServiceMaker {
 public:
  virtual ~ServiceMaker() = default;
  /// On a thread of its own; may take long.
  /// @param wanted  what the request's body holds.
  /// @return or one sentence for the operator.
  [[nodiscard]] virtual Result<OfferedService> make(const std::string& name, std::string_view wanted) = 0;
};

/// What a server says of one of its services.
struct ServiceFacts {
  std::string name;                ///< As offered.
  std::string service;             ///< Service::name().
  std::uint32_t rooms = 0;         ///< At the moment.
  std::uint64_t cpu_ns = 0;        ///< Of its rooms' calls so far.
  std::uint64_t memory_bytes = 0;  ///< Of its rooms' state; 0: not known, as of native services.
};

class Server {
 public:
  /// Checks the options; listens to nothing.
  /// @error InvalidArgument  an option's value; the message names the option and what is allowed.
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(const ServerOptions& options,
                                                              std::unique_ptr<service::Service> service,
                                                              Surroundings surroundings);
  /// The same for a server of several services, or of none yet.
  /// @error InvalidArgument, Io, AlreadyExists  see add_service
  [[nodiscard]] static Result<std::unique_ptr<Server>> create(const ServerOptions& options,
                                                              std::vector<OfferedService> services,
                                                              Surroundings surroundings);
  virtual ~Server() = default;

  // Changes of the services, at any time, from any thread but a shard's. Each is seen by all shards at once, or
  // has failed and changed nothing.

  /// @error InvalidArgument  the name or an option; the message says what is allowed.
  /// @error AlreadyExists    there is a service of that name.
  /// @error Io               its static_dir cannot be read.
  [[nodiscard]] virtual Result<void> add_service(OfferedService offered) = 0;
  /// Rooms that are made from here on are the new service's; those that live keep theirs until they end.
  /// @error InvalidArgument, Io  as above
  /// @error NotFound         there is no service of that name.
  [[nodiscard]] virtual Result<void> replace_service(OfferedService offered) = 0;
  /// No room of it is made from here on; clients of those that live are closed with 1012, then the rooms end.
  /// @error NotFound         there is no service of that name.
  [[nodiscard]] virtual Result<void> remove_service(std::string_view name) = 0;
  [[nodiscard]] virtual std::vector<ServiceFacts> services() const = 0;

  /// Binds, listens, starts the shards' threads.
  /// @error Io  the address is taken or not ours, a directory cannot be read, ...
  [[nodiscard]] virtual Result<void> start() = 0;
  /// Sockets that listen already, to be used instead of the options' addresses. Before `start`.
  virtual void listen_on(std::vector<io::Socket> sockets) = 0;
  /// Where it listens, with the ports that were chosen; empty before start.
  [[nodiscard]] virtual std::vector<Endpoint> endpoints() const = 0;
  /// Whether its connections begin with TLS.
  [[nodiscard]] virtual bool speaks_tls() const = 0;
  /// The first port it listens on; 0 before start, or if it listens on unix-domain sockets only.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// The admin listener's port; 0: it is off, or before start.
  [[nodiscard]] virtual std::uint16_t admin_port() const = 0;
  /// Reads again what may change while the server runs: the admin token's file, the certificate and its
  /// key. What cannot be read stays as it was,
  /// and the log says so, at most once a second. One thread; after `start`.
  virtual void reload() = 0;
  /// What an operator's wish to stop the server leads to, instead of the first half of `stop`: the process's own way
  /// to end. Called on any thread; must not wait. Before `start`.
  virtual void on_stop_asked(std::function<void()> act) = 0;
  /// Stops accepting, closes every client with 1012, waits for their answers at most
  /// `drain_timeout`, ends the threads. Any thread; a second call while one waits ends it at once.
  /// Inside a service's call it only begins, and returns: that call is among what would have to end first.
  virtual void stop() = 0;
  /// Wakes every shard: a test that moved a ManualClock lets the timers see it. When it returns, what was due
  /// has run.
  virtual void clock_moved() = 0;
};

}  // namespace jamsocket::server
