// jamsocket dev: builds the service of a folder and serves it with its static files.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/commands.hpp"
#include "cli/module_host.hpp"
#include "cli/output.hpp"
#include "cli/project.hpp"

namespace jamsocket::cli {
namespace {

struct State {
  std::string folder = ".";
  SettingFlags flags;
};

// What a browser on this machine calls the server.
std::string browser_host(std::string_view host) {
  const bool here = host == "127.0.0.1" || host == "0.0.0.0" || host == "::" || host == "::1";
  return here ? "localhost" : host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

void greet(const config::Settings& settings, std::uint16_t port) {
  const std::string address = fmt::format("{}:{}", browser_host(settings.server.host), port);
  if (!settings.server.static_dir.empty()) {
    say(fmt::format("  page:   http://{}/", address));
  }
  say(fmt::format("  rooms:  ws://{}/ws/ROOM", address));
  say(fmt::format("  status: http://{}/status", address));
  say("  after a change, end this with Ctrl-C and start it again");
}

int run(const State& state) {
  const auto project = open_project(state.folder, state.flags);
  if (!project) {
    return project.error();
  }
  const auto module = build_project(*project, {});
  if (!module) {
    return module.error();
  }
  config::Loaded loaded = project->loaded;
  ServerOptions& server = loaded.settings.server;
  if (server.data_dir.empty() && server.durability != "none") {
    // While a service is being written its rooms survive a restart, and begin afresh when it has changed.
    server.data_dir = (project->folder / ".jamsocket" / "data").lexically_normal().string();
    server.upgrade = "restart";
    for (config::NamedService& service : loaded.services) {
      service.settings.server.data_dir = server.data_dir;
      service.settings.server.upgrade = server.upgrade;
    }
  }
  return serve_module(module->string(), loaded, [&loaded](std::uint16_t port) { greet(loaded.settings, port); });
}

}  // namespace

Command add_dev(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("dev", "Builds the service of a folder and serves it with its static files");
  app->add_option("DIR", state->folder, "The folder, with a jamsocket.toml if it has one")
      ->type_name("")
      ->capture_default_str();
  state->flags.add_to(*app);
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
