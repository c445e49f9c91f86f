// jamsocket config: the settings, checked and shown.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/setting_flags.hpp"
#include "config/docs.hpp"
#include "config/load.hpp"
#include "server/settings.hpp"

namespace jamsocket::cli {
namespace {

struct State {
  std::string checked_file = "jamsocket.toml";
  SettingFlags flags;
  CLI::App* check = nullptr;
  CLI::App* show = nullptr;
  CLI::App* example = nullptr;
};

// What a server would still refuse at its start, though each key alone and the relations between them are fine.
std::vector<std::string> problems_of_server(const std::string& file, const config::Loaded& loaded) {
  std::vector<std::string> problems;
  ServerOptions options = loaded.settings.server;
  if (options.data_dir.empty()) {
    options.data_dir = ".";  // `jamsocket dev` has a folder of its own for kept rooms.
  }
  if (const auto settings = server::Settings::from(options); !settings) {
    problems.push_back(fmt::format("{}: {}", file, settings.error().message));
  }
  for (const config::NamedService& service : loaded.services) {
    options = service.settings.server;
    options.data_dir = ".";
    if (const auto settings = server::ServiceSettings::from(options); !settings) {
      problems.push_back(fmt::format("{}: services.{}: {}", service.origin, service.name, settings.error().message));
    }
  }
  return problems;
}

int check(const State& state) {
  config::Sources sources;
  sources.file = state.checked_file;
  const auto loaded = config::load(sources);
  if (!loaded) {
    return complain_of_settings(loaded.error());
  }
  if (const auto problems = problems_of_server(state.checked_file, *loaded); !problems.empty()) {
    return complain_of_settings(problems);
  }
  say(fmt::format("{}: no problems", state.checked_file));
  return kExitDone;
}

int show(const State& state) {
  const auto loaded = state.flags.load(state.flags.config_file());
  if (!loaded) {
    return complain_of_settings(loaded.error());
  }
  write_out(config::settings_toml(*loaded));
  return kExitDone;
}

int run(const State& state) {
  if (state.check->parsed()) {
    return check(state);
  }
  if (state.show->parsed()) {
    return show(state);
  }
  write_out(state.example->parsed() ? config::example_toml() : config::reference_markdown());
  return kExitDone;
}

}  // namespace

Command add_config(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("config", "Checks and shows settings");
  app->require_subcommand(1);
  state->check = app->add_subcommand("check", "Checks a jamsocket.toml; exit code 2 if it is wrong");
  state->check->add_option("FILE", state->checked_file, "The file")->type_name("")->capture_default_str();
  state->show = app->add_subcommand("show", "Prints the settings that these flags, the environment and the file give");
  state->flags.add_to(*state->show);
  state->example = app->add_subcommand("example", "Prints a jamsocket.toml with every key");
  app->add_subcommand("docs", "Prints docs/configuration.md")->group("");
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
