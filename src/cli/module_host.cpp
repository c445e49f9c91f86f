#include "cli/module_host.hpp"

#include <cstdint>
#include <memory>
#include <utility>

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
ServerOptions fitted_to_mappings(ServerOptions options, Logger& logger) {
  const auto mappings_max = wasm::read_mappings_max();
  if (!mappings_max || !options.data_dir.empty()) {
    return options;
  }
  const std::uint32_t fitting = wasm::rooms_for_mappings(*mappings_max);
  if (fitting < options.limits.rooms_max) {
    logger.info("server.rooms_fitted", {{"rooms_max", fitting},
                                        {"rooms_max_set", options.limits.rooms_max},
                                        {"max_map_count", *mappings_max},
                                        {"advice", "for more rooms raise vm.max_map_count (sysctl)"}});
    options.limits.rooms_max = fitting;
  }
  return options;
}

Result<void> serve(const std::string& module_file, const config::Loaded& loaded,
                   const std::function<void(std::uint16_t port)>& ready) {
  const config::Settings& settings = loaded.settings;
  const SystemClock clock;
  const auto logger =
      JAM_TRY(make_stderr_logger(server::stderr_log_options(settings.server.log_level, settings.log_format)));
  const wasm::Engine engine(engine_options(loaded));
  ModuleServices services(engine, loaded);
  auto offered = JAM_TRY(services.load_all(module_file));
  const auto server = JAM_TRY(server::Server::create(fitted_to_mappings(settings.server, *logger), std::move(offered),
                                                     {.logger = *logger, .clock = clock, .maker = &services}));
  return server::run_until_signalled(*server, [&server, &ready](std::uint16_t port) {
    server::announce(*server);
    ready(port);
  });
}

}  // namespace

int serve_module(const std::string& module_file, const config::Loaded& loaded,
                 const std::function<void(std::uint16_t port)>& ready) {
  server::prepare_process();
  if (const Result<void> confined = confine_server(loaded, module_file); !confined) {
    return complain(confined.error().message);
  }
  const Result<void> served = serve(module_file, loaded, ready);
  return served ? kExitDone : complain(served.error().message);
}

}  // namespace jamsocket::cli
