// jamsocket dev: builds the service of a folder and serves it with its static files.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <expected>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/endpoint.hpp"
#include "base/system.hpp"
#include "cli/commands.hpp"
#include "cli/module_host.hpp"
#include "cli/output.hpp"
#include "cli/project.hpp"
#include "io/self_signed.hpp"
#include "io/tls_context.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::int64_t kDay_s = std::int64_t{24} * 60 * 60;
constexpr std::int64_t kCertificateDays = 365;

struct State {
  std::string folder = ".";
  bool wants_tls = false;
  SettingFlags flags;
};

// What a browser on this machine calls the server.
std::string browser_host(std::string_view host) {
  const bool here = host == "127.0.0.1" || host == "0.0.0.0" || host == "::" || host == "::1";
  return here ? "localhost" : host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

// A certificate for this machine's names in FOLDER/.jamsocket, made where there is none.
Result<void> use_own_certificate(const std::filesystem::path& folder, ServerOptions& server) {
  const std::filesystem::path place = make_own_folder(folder);
  server.tls_cert = (place / "tls-cert.pem").string();
  server.tls_key = (place / "tls-key.pem").string();
  const std::int64_t now_ms = SystemClock().unix_ms();
  const auto kept = io::TlsContext::load({.certificate = server.tls_cert, .key = server.tls_key}, now_ms);
  if (kept && (*kept)->warnings().empty()) {
    return {};
  }
  const std::int64_t now_s = now_ms / 1000;
  const auto made = JAM_TRY(io::make_self_signed(
      {.valid_from_unix_s = now_s - kDay_s, .valid_until_unix_s = now_s + kCertificateDays * kDay_s}));
  std::error_code error;
  for (const auto& [path, text] : {std::pair(server.tls_key, made.key), std::pair(server.tls_cert, made.certificate)}) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    if (file.is_open()) {
      std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
                                   error);
    }
    file << text;
    if (!file.flush()) {
      return fail(ErrorCode::Io, fmt::format("{} cannot be written: {}", path, words_of(errno)));
    }
  }
  return {};
}

bool sets(const config::NamedService& service, std::string_view key) {
  return std::ranges::any_of(service.keys, [key](const config::FileKey& set) { return set.entry->key == key; });
}

bool keeps_rooms(const config::Loaded& loaded) {
  const auto keeps = [](const config::Settings& settings) { return settings.server.durability != "none"; };
  return keeps(loaded.settings) || std::ranges::any_of(loaded.services, keeps, &config::NamedService::settings);
}

// While a service is being written its rooms survive a restart, and begin afresh when it has changed. Where the
// settings say what becomes of them, or where they are kept, that holds: somebody tries it out, or minds what is there.
void keep_rooms_beside(const std::filesystem::path& folder, config::Loaded& loaded) {
  ServerOptions& server = loaded.settings.server;
  if (!server.data_dir.empty() || !keeps_rooms(loaded)) {
    return;
  }
  server.data_dir = (make_own_folder(folder) / "data").string();
  const bool upgrade_is_set = loaded.is_set("service.upgrade");
  server.upgrade = upgrade_is_set ? server.upgrade : "restart";
  for (config::NamedService& service : loaded.services) {
    ServerOptions& options = service.settings.server;
    options.data_dir = server.data_dir;
    options.upgrade = upgrade_is_set || sets(service, "service.upgrade") ? options.upgrade : "restart";
  }
}

// What the settings say of rooms when the service has changed.
std::string_view fate_of_rooms(std::string_view upgrade) {
  return upgrade == "restart" ? "when the service has changed, rooms begin afresh"
         : upgrade == "keep"  ? "rooms go on with the code that made them, also when the service has changed"
                              : "when the service has changed, rooms go to the new code";
}

// That there is no page yet is seen sooner here than in the browser's "There is no such file."
std::string page_line(const std::string& address, const std::string& files) {
  const std::filesystem::path index = std::filesystem::path(files) / "index.html";
  std::error_code error;
  const bool is_there = std::filesystem::exists(index, error);
  return fmt::format("  page:   http{}{}", address,
                     is_there ? "" : fmt::format(" (there is no {} yet)", index.string()));
}

// Addresses for a browser on this machine, of the first place that it can reach.
void greet_browser(const config::Loaded& loaded, const std::vector<Endpoint>& endpoints, bool has_own_service) {
  const auto place = std::ranges::find_if_not(endpoints, &Endpoint::is_unix);
  if (place == endpoints.end()) {
    return;
  }
  const config::Settings& settings = loaded.settings;
  const std::string_view secure = settings.server.tls_cert.empty() ? "" : "s";
  const std::string address = fmt::format("{}://{}:{}", secure, browser_host(place->host), place->port);
  if (!settings.server.static_dir.empty()) {
    say(page_line(address + "/", settings.server.static_dir));
  }
  for (const config::NamedService& service : loaded.services) {
    if (!service.settings.server.static_dir.empty()) {
      say(page_line(fmt::format("{}/{}/", address, service.name), service.settings.server.static_dir));
    }
  }
  if (has_own_service) {
    say(fmt::format("  rooms:  ws{}/ws/ROOM", address));
  }
  for (const config::NamedService& service : loaded.services) {
    say(fmt::format("  rooms:  ws{}/ws/{}/ROOM", address, service.name));
  }
  say(fmt::format("  status: http{}/status", address));
}

void greet(const config::Loaded& loaded, const std::vector<Endpoint>& endpoints, bool has_own_service) {
  greet_browser(loaded, endpoints, has_own_service);
  const ServerOptions& server = loaded.settings.server;
  if (!server.data_dir.empty() && keeps_rooms(loaded)) {
    say(fmt::format("  kept:   {}; {}", server.data_dir, fate_of_rooms(server.upgrade)));
  }
  say("  after a change of a service, end this with Ctrl-C and start it again");
}

int run(const State& state) {
  const auto project = open_project(state.folder, state.flags);
  if (!project) {
    return project.error();
  }
  const bool has_own_service = !has_sections_only(*project);
  const std::expected<std::filesystem::path, int> module =
      has_own_service ? build_project(*project, {}) : std::filesystem::path();
  if (!module) {
    return module.error();
  }
  config::Loaded loaded = project->loaded;
  keep_rooms_beside(project->folder, loaded);
  ServerOptions& server = loaded.settings.server;
  if (state.wants_tls && server.tls_cert.empty() && server.tls_key.empty()) {
    if (const Result<void> done = use_own_certificate(project->folder, server); !done) {
      return complain(done.error().message);
    }
  }
  return serve_module(module->string(), loaded,
                      [&](const std::vector<Endpoint>& endpoints) { greet(loaded, endpoints, has_own_service); });
}

}  // namespace

Command add_dev(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("dev", "Builds the service of a folder and serves it with its static files");
  app->add_option("DIR", state->folder, "The folder, with a jamsocket.toml if it has one")
      ->type_name("")
      ->capture_default_str();
  app->add_flag("--tls", state->wants_tls,
                "Serves https and wss; without --tls-cert by a certificate that is made, which browsers ask about");
  state->flags.add_to(*app);
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
