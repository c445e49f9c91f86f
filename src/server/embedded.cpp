// The compiled half of include/jamsocket/server.hpp: a server inside somebody's program.

#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <utility>
#include <variant>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "config/assign.hpp"
#include "config/load.hpp"
#include "jamsocket/server.hpp"
#include "server/process.hpp"
#include "server/server.hpp"
#include "service/native.hpp"

namespace jamsocket {
namespace {

// What a file may not set, a program may not either: a room with no event in flight, say, never runs.
Result<void> check_limits(const ServerOptions& options) {
  const config::Settings settings{.server = options, .service = {}, .client = {}, .module_limits = {}};
  for (const config::Entry& entry : config::entries()) {
    const auto* const number = std::get_if<config::Number>(&entry.field);
    if (number == nullptr || !entry.key.starts_with("limits.")) {
      continue;
    }
    const std::uint64_t value = number->get(settings);
    if (value < number->least || value > number->most) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("{} is {}; allowed: {}", entry.key, value, config::allowed_text(entry)));
    }
  }
  return {};
}

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, detail::NativeServiceFactory factory)
      : options_(std::move(options)), factory_(std::move(factory)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { stop(); }

  Result<void> start() {
    if (server_) {
      return fail(ErrorCode::AlreadyExists, "the server was started before; make a new Server to start again");
    }
    JAM_TRY_VOID(check_limits(options_));
    logger_ = JAM_TRY(make_stderr_logger(server::stderr_log_options(options_.log_level, "auto")));
    auto server = JAM_TRY(server::Server::create(options_, service::make_native_service("native", factory_),
                                                 {.logger = *logger_, .clock = clock_}));
    JAM_TRY_VOID(server->start());
    server_ = std::move(server);  // Not before: what could not start can be tried again.
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return server_ ? server_->port() : std::uint16_t{0}; }

  void stop() {
    if (server_) {
      server_->stop();
    }
  }

 private:
  ServerOptions options_;
  detail::NativeServiceFactory factory_;
  SystemClock clock_;
  std::unique_ptr<Logger> logger_;
  std::unique_ptr<server::Server> server_;
};

Server::Server(ServerOptions options, detail::NativeServiceFactory factory)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(factory))) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

std::expected<void, std::string> Server::start() {
  const Result<void> started = impl_->start();
  if (!started) {
    return std::unexpected(started.error().message);
  }
  return {};
}

std::uint16_t Server::port() const { return impl_->port(); }

void Server::stop() { impl_->stop(); }

namespace {

// PORT, HOST and LOG_LEVEL count where the program left the default: what it chose is its flag.
std::string apply_environment(ServerOptions& options) {
  config::Settings settings{.server = std::move(options), .service = {}, .client = {}, .module_limits = {}};
  const config::Settings defaults;
  std::string wrong;
  for (const config::Entry& entry : config::entries()) {
    if (entry.environment.empty() || config::value_as_toml(entry, settings) != config::value_as_toml(entry, defaults)) {
      continue;
    }
    const std::optional<std::string> value = config::process_environment(entry.environment);
    if (value && !value->empty() && wrong.empty()) {
      wrong = config::assign_text(entry, *value, {}, settings);
      wrong = wrong.empty() ? wrong : fmt::format("{}: {}", entry.environment, wrong);
    }
  }
  options = std::move(settings.server);
  return wrong;
}

constexpr int kExitMisconfigured = 2;

int complain(std::string_view what, int exit_code = 1) {
  const std::string line = fmt::format("jamsocket: {}\n", what);
  std::fputs(line.c_str(), stderr);
  return exit_code;
}

}  // namespace

int detail::serve_until_signalled(ServerOptions options, NativeServiceFactory factory) {
  if (const std::string wrong = apply_environment(options); !wrong.empty()) {
    return complain(wrong, kExitMisconfigured);
  }
  if (const Result<void> checked = check_limits(options); !checked) {
    return complain(checked.error().message, kExitMisconfigured);
  }
  server::prepare_process();
  const SystemClock clock;
  const auto logger = make_stderr_logger(server::stderr_log_options(options.log_level, "auto"));
  if (!logger) {
    return complain(logger.error().message);
  }
  const auto server = server::Server::create(options, service::make_native_service("native", std::move(factory)),
                                             {.logger = **logger, .clock = clock});
  if (!server) {
    return complain(server.error().message, server.error().code == ErrorCode::InvalidArgument ? kExitMisconfigured : 1);
  }
  const Result<void> ran =
      server::run_until_signalled(**server, [&server](std::uint16_t) { server::announce(**server); });
  return ran ? 0 : complain(ran.error().message);
}

}  // namespace jamsocket
