// jamsocket serve: a module, on a port.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/module_host.hpp"
#include "cli/output.hpp"
#include "cli/setting_flags.hpp"

namespace jamsocket::cli {
namespace {

struct State {
  std::string module;
  SettingFlags flags;
};

int run(const State& state) {
  const auto loaded = state.flags.load(state.flags.config_file());
  if (!loaded) {
    return complain_of_settings(loaded.error());
  }
  const std::string& module = state.module.empty() ? loaded->settings.service.module : state.module;
  if (module.empty() && loaded->services.empty()) {
    return complain(
        "which module? 'jamsocket serve MODULE.wasm', or a --config with [services.NAME] or a module in its [service]",
        kExitUsage);
  }
  return serve_module(module, *loaded, [](const std::vector<Endpoint>&) {});
}

}  // namespace

Command add_serve(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app =
      whole.add_subcommand("serve", "Serves a module, or the services of a --config, until SIGINT or SIGTERM");
  app->add_option("MODULE.wasm", state->module, "The module")->type_name("");
  state->flags.add_to(*app);
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
