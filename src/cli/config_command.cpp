// jamsocket config: the settings, checked and shown.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/keys.hpp"
#include "base/clock.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/setting_flags.hpp"
#include "config/docs.hpp"
#include "config/load.hpp"
#include "io/tls_context.hpp"
#include "server/admin_listener.hpp"
#include "server/settings.hpp"

namespace jamsocket::cli {
namespace {

constexpr const char* kUsualFile = "jamsocket.toml";

struct State {
  std::string checked_file = kUsualFile;
  SettingFlags flags;
  CLI::App* check = nullptr;
  CLI::App* show = nullptr;
  CLI::App* example = nullptr;
};

const std::string& origin_of(const config::Loaded& loaded, std::string_view key) {
  return loaded.origins[static_cast<std::size_t>(config::find_entry(key) - config::entries().data())];
}

// Files that a server reads at its start.
std::vector<std::string> problems_of_files(const config::Loaded& loaded) {
  std::vector<std::string> problems;
  const ServerOptions& whole = loaded.settings.server;
  if (!whole.tls_cert.empty()) {
    const auto tls =
        io::TlsContext::load({.certificate = whole.tls_cert, .key = whole.tls_key}, SystemClock().unix_ms());
    if (!tls) {
      problems.push_back(fmt::format("{}: {}", origin_of(loaded, "tls.cert"), tls.error().message));
    }
  }
  if (whole.admin_port != "off") {
    if (const auto token = server::read_admin_token(whole.admin_token_file); !token) {
      problems.push_back(fmt::format("{}: {}", origin_of(loaded, "admin.token_file"), token.error().message));
    }
  }
  const auto check_keys = [&](const TokenOptions& tokens, const std::string& where) {
    if (tokens.mode == "off") {
      return;
    }
    if (const auto keys = auth::KeySet::load(tokens.keys); !keys) {
      problems.push_back(fmt::format("{}: token_keys: {}", where, keys.error().message));
    }
  };
  check_keys(whole.tokens, origin_of(loaded, "auth.token_keys"));
  for (const config::NamedService& service : loaded.services) {
    if (service.settings.server.tokens.keys != whole.tokens.keys) {
      check_keys(service.settings.server.tokens, fmt::format("{}: services.{}", service.origin, service.name));
    }
  }
  return problems;
}

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
  for (const std::string& problem : problems_of_files(loaded)) {
    problems.push_back(problem);
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
  const std::string file = state.flags.config_file();
  std::error_code error;
  if (file.empty() && std::filesystem::exists(kUsualFile, error)) {
    note(fmt::format("{0} is not read, as 'jamsocket serve' does not read it either; --config {0} reads it",
                     kUsualFile));
  }
  const auto loaded = state.flags.load(file);
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
