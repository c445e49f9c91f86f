#include "cli/module_host.hpp"

#include <filesystem>
#include <memory>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "cli/output.hpp"
#include "server/process.hpp"
#include "server/server.hpp"
#include "wasm/engine.hpp"
#include "wasm/module.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket::cli {
namespace {

std::string cache_folder(const config::Settings& settings) {
  return settings.service.module_cache.empty() ? config::default_module_cache() : settings.service.module_cache;
}

wasm::EngineOptions engine_options(const config::ModuleLimits& limits) {
  return {.memory_bytes_max = limits.room_memory_bytes_max, .stack_bytes_max = limits.room_stack_bytes_max};
}

wasm::ModuleLimits module_limits(const config::ModuleLimits& limits) {
  wasm::ModuleLimits result;
  result.memory_bytes_max = limits.room_memory_bytes_max;
  result.cpu_per_event = limits.event_cpu_max;
  result.wall_per_event = limits.event_wall_max;
  return result;
}

Result<void> serve(const std::string& module_file, const config::Settings& settings,
                   const std::function<void(std::uint16_t port)>& ready) {
  const SystemClock clock;
  const auto logger =
      JAM_TRY(make_stderr_logger(server::stderr_log_options(settings.server.log_level, settings.log_format)));
  const wasm::Engine engine(engine_options(settings.module_limits));
  auto module = JAM_TRY(engine.load_file(module_file, cache_folder(settings)));
  auto service = wasm::make_module_service(std::filesystem::path(module_file).stem().string(), std::move(module),
                                           module_limits(settings.module_limits));
  const auto server =
      JAM_TRY(server::Server::create(settings.server, std::move(service), {.logger = *logger, .clock = clock}));
  return server::run_until_signalled(*server, [&settings, &ready](std::uint16_t port) {
    server::announce(settings.server.host, port);
    ready(port);
  });
}

}  // namespace

int serve_module(const std::string& module_file, const config::Settings& settings,
                 const std::function<void(std::uint16_t port)>& ready) {
  server::prepare_process();
  const Result<void> served = serve(module_file, settings, ready);
  return served ? kExitDone : complain(served.error().message);
}

}  // namespace jamsocket::cli
