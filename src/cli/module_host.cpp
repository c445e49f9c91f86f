#include "cli/module_host.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "cli/confinement.hpp"
#include "cli/module_services.hpp"
#include "cli/output.hpp"
#include "server/process.hpp"
#include "server/server.hpp"
#include "wasm/engine.hpp"
#include "wasm/mappings.hpp"

namespace jamsocket::cli {
namespace {

// A room of a module needs mappings of the kernel: rather a room refused at the door than one that cannot be made.
// Where rooms are kept those asleep need none, and the limit stays as it is set.
std::uint32_t fitting_rooms(const ServerOptions& options, std::optional<std::uint64_t> mappings_max) {
  const std::uint32_t wanted = options.limits.rooms_max;
  return mappings_max && options.data_dir.empty() ? std::min(wanted, wasm::rooms_for_mappings(*mappings_max)) : wanted;
}

// To whoever asked for more rooms it is a warning; the default is more than most machines have mappings for.
void tell_of_fitting(std::uint32_t fitting, const config::Settings& settings, std::uint64_t mappings_max,
                     Logger& logger) {
  const std::uint32_t wanted = settings.server.limits.rooms_max;
  const bool is_asked_for = wanted != config::Settings{}.server.limits.rooms_max;
  if (fitting < wanted) {
    logger.log(is_asked_for ? LogLevel::Warn : LogLevel::Debug, "server.rooms_fitted",
               {{"rooms_max", fitting},
                {"rooms_max_set", wanted},
                {"max_map_count", mappings_max},
                {"advice", "for more rooms raise vm.max_map_count (sysctl)"}});
  }
}

// A large module takes many seconds to compile: whoever wants to end that need not wait for it.
Result<std::vector<server::OfferedService>> load_all(const ModuleServices& services, const std::string& module_file) {
  const server::EndsAtSignal ending;
  return services.load_all(module_file);
}

int serve(const std::string& module_file, const config::Loaded& loaded,
          const std::function<void(const std::vector<Endpoint>&)>& ready) {
  const config::Settings& settings = loaded.settings;
  const SystemClock clock;
  const auto logger = make_stderr_logger(server::stderr_log_options(settings.server.log_level, settings.log_format));
  if (!logger) {
    return complain(logger.error().message);
  }
  const wasm::Engine engine(engine_options(loaded));
  ModuleServices services(engine, loaded);
  auto offered = load_all(services, module_file);
  if (!offered) {
    return complain(offered.error().message);
  }
  const std::optional<std::uint64_t> mappings_max = wasm::read_mappings_max();
  ServerOptions options = settings.server;
  options.limits.rooms_max = fitting_rooms(options, mappings_max);
  const auto server =
      server::Server::create(options, std::move(*offered), {.logger = **logger, .clock = clock, .maker = &services});
  if (!server) {
    const bool is_misconfigured = server.error().code == ErrorCode::InvalidArgument;
    return complain(server.error().message, is_misconfigured ? kExitUsage : kExitFailed);
  }
  const Result<void> ran = server::run_until_signalled(**server, [&](std::uint16_t) {
    tell_of_fitting(options.limits.rooms_max, settings, mappings_max.value_or(0), **logger);
    server::announce(**server);
    ready((*server)->endpoints());
  });
  std::clearerr(stdout);  // Who read where it listens may be gone long since: no failure of the server's.
  return ran ? kExitDone : complain(ran.error().message);
}

}  // namespace

int serve_module(const std::string& module_file, const config::Loaded& loaded,
                 const std::function<void(const std::vector<Endpoint>&)>& ready) {
  server::prepare_process();
  if (const Result<void> confined = confine_server(loaded, module_file); !confined) {
    return complain(confined.error().message);
  }
  return serve(module_file, loaded, ready);
}

}  // namespace jamsocket::cli
