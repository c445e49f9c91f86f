// jamsocket build: a service's source to a module.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/project.hpp"

namespace jamsocket::cli {
namespace {

struct State {
  std::string folder = ".";
  std::string output;
  SettingFlags flags;  // Never on the command line: what builds a module is in its folder.
};

int run(const State& state) {
  const auto project = open_project(state.folder, state.flags);
  if (!project) {
    return project.error();
  }
  if (!project->loaded.settings.service.module.empty()) {
    return complain("[service] module names a built module: there is nothing to build");
  }
  const auto module = build_project(*project, state.output);
  if (!module) {
    return module.error();
  }
  say(module->string());
  return kExitDone;
}

}  // namespace

Command add_build(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("build", "Builds the service of a folder to a module and prints its path");
  app->add_option("DIR", state->folder, "The folder, with a jamsocket.toml if it has one")
      ->type_name("")
      ->capture_default_str();
  app->add_option("-o,--output", state->output, "The module's file [DIR/.jamsocket/NAME.wasm]")->type_name("FILE");
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
