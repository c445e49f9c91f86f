#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/log.hpp"
#include "config/assign.hpp"
#include "config/file.hpp"
#include "config/patterns.hpp"
#include "config/suggest.hpp"

namespace jamsocket::config {
namespace {

std::string at_place(const std::string& path, Place place) {
  return place.line == 0 ? path : fmt::format("{}:{}:{}", path, place.line, place.column);
}

constexpr std::string_view kDefault = "default";

std::size_t index_of(const Entry& entry) { return static_cast<std::size_t>(&entry - entries().data()); }

class Loader {
 public:
  Loader()
      : loaded_{.settings = {},
                .services = {},
                .origins = std::vector<std::string>(entries().size(), std::string(kDefault))} {}

  void file(const std::string& path) {
    const FileContents contents = apply_file(path, loaded_.settings);
    const std::string shown = escape_for_log(path, 300);
    for (const FileProblem& problem : contents.problems) {
      problems_.push_back(fmt::format("{}: {}", at_place(shown, problem.place), problem.text));
    }
    for (const FileKey& key : contents.keys) {
      loaded_.origins[index_of(*key.entry)] = at_place(shown, key.place);
    }
    for (const FileService& service : contents.services) {
      services_.emplace_back(at_place(shown, service.place), service);
    }
  }

  // Last, when all that a service may inherit is known.
  void take_services() {
    for (auto& [origin, given] : services_) {
      NamedService service{.name = given.name, .origin = origin, .settings = loaded_.settings, .keys = given.keys};
      service.settings.service.module.clear();
      service.settings.server.static_dir.clear();
      for (const FileKey& key : given.keys) {
        copy_value(*key.entry, given.values, service.settings);
      }
      if (service.settings.service.module.empty()) {
        problems_.push_back(
            fmt::format("{}: services.{} names no module; allowed: module = \"FILE.wasm\"", origin, service.name));
      }
      if (const std::string wrong = wrong_tokens(service.settings.server.tokens); !wrong.empty()) {
        problems_.push_back(fmt::format("{}: services.{}: {}", origin, service.name, wrong));
      }
      loaded_.services.push_back(std::move(service));
    }
  }

  void text(const Entry& entry, std::string_view where, std::string_view value) {
    const std::string wrong = assign_text(entry, value, {}, loaded_.settings);
    if (wrong.empty()) {
      loaded_.origins[index_of(entry)] = where;
    } else {
      problems_.push_back(fmt::format("{}: {}", where, wrong));
    }
  }

  // What the table's single entries cannot say.
  void check_relations() {
    check_heartbeat();
    check_places();
    check_tls();
    check_tokens();
    check_service();
    check_proxies();
    check_memory();
    check_admin();
    check_back_off();
  }

  void check_heartbeat() {
    const ServerOptions& server = loaded_.settings.server;
    if (server.heartbeat_timeout > server.heartbeat_interval) {
      return;
    }
    problems_.push_back(fmt::format(
        "{}: server.heartbeat_timeout_seconds is {}; allowed: more than heartbeat_interval_seconds, which is {}",
        origin_of_either("server.heartbeat_timeout_seconds", "server.heartbeat_interval_seconds"),
        server.heartbeat_timeout.count() / 1000, server.heartbeat_interval.count() / 1000));
  }

  // A place is listened on once.
  void check_places() {
    const ServerOptions& server = loaded_.settings.server;
    for (auto place = server.listen.begin(); place != server.listen.end(); ++place) {
      if (std::find(server.listen.begin(), place, *place) != place && !place->ends_with(":0")) {
        problems_.push_back(fmt::format("{}: server.listen has '{}' twice; allowed: each place once",
                                        origin("server.listen"), escape_for_log(*place, 200)));
      }
    }
    const bool is_taken = server.listen.empty() && server.port != 0 && server.host == server.admin_host &&
                          server.admin_port == std::to_string(server.port);
    if (is_taken) {
      problems_.push_back(fmt::format("{}: admin.port is {}, as server.port is; allowed: another one, or off",
                                      origin_of_either("admin.port", "server.port"), server.admin_port));
    }
  }

  void check_tls() {
    const ServerOptions& server = loaded_.settings.server;
    if (server.tls_cert.empty() != server.tls_key.empty()) {
      const bool has_cert = server.tls_key.empty();
      problems_.push_back(fmt::format("{}: tls.{} is set but tls.{} is not; allowed: both, or neither",
                                      origin(has_cert ? "tls.cert" : "tls.key"), has_cert ? "cert" : "key",
                                      has_cert ? "key" : "cert"));
    }
  }

  // What is wrong, or nothing.
  static std::string wrong_tokens(const TokenOptions& tokens) {
    if (tokens.mode == "off") {
      return {};
    }
    if (tokens.keys.empty()) {
      return fmt::format("tokens is {} and there are no keys to check them with; allowed: token_keys besides",
                         tokens.mode);
    }
    if (tokens.carriers.empty()) {
      return fmt::format("tokens is {} and token_carriers is empty, so that nobody can bring one; allowed: one or more",
                         tokens.mode);
    }
    return {};
  }

  void check_tokens() {
    if (const std::string wrong = wrong_tokens(loaded_.settings.server.tokens); !wrong.empty()) {
      problems_.push_back(fmt::format("{}: auth: {}", origin("auth.tokens"), wrong));
    }
  }

  void check_service() {
    const ServiceSettings& service = loaded_.settings.service;
    std::vector<std::string_view> given;
    for (const auto& [key, value] :
         {std::pair<std::string_view, const std::string&>{"service.package", service.package},
          {"service.source", service.source},
          {"service.module", service.module}}) {
      if (!value.empty()) {
        given.push_back(key);
      }
    }
    if (given.size() > 1) {
      problems_.push_back(fmt::format("{}: {} is set besides {}; allowed: one of package, source and module",
                                      origin(given[1]), given[1], given[0]));
    }
  }

  void check_proxies() {
    const ServerOptions& server = loaded_.settings.server;
    const bool by_protocol = server.proxy_protocol != "off";
    const bool by_header = server.forwarded_header != "off";
    if (by_protocol && by_header) {
      problems_.push_back(
          fmt::format("{}: proxies.header is {} besides protocol = \"required\"; allowed: one of the two",
                      origin("proxies.header"), server.forwarded_header));
    }
    if ((by_protocol || by_header) && server.proxies_trusted.empty()) {
      problems_.push_back(fmt::format("{}: no proxy is trusted to say so; allowed: with proxies.trusted besides",
                                      origin(by_protocol ? "proxies.protocol" : "proxies.header")));
    }
  }

  void check_memory() {
    const ServerLimits& limits = loaded_.settings.server.limits;
    if (limits.memory_high_bytes != 0 && limits.memory_critical_bytes != 0 &&
        limits.memory_critical_bytes < limits.memory_high_bytes) {
      problems_.push_back(
          fmt::format("{}: limits.memory_critical_bytes is {}; allowed: 0, or not less than memory_high_bytes, "
                      "which is {}",
                      origin("limits.memory_critical_bytes"), limits.memory_critical_bytes, limits.memory_high_bytes));
    }
    if (limits.client_bytes_per_second_max != 0 && limits.client_bytes_per_second_max < 1024) {
      problems_.push_back(fmt::format("{}: limits.client_bytes_per_second_max is {}; allowed: 0, or 1KiB and more",
                                      origin("limits.client_bytes_per_second_max"),
                                      limits.client_bytes_per_second_max));
    }
  }

  void check_admin() {
    const ServerOptions& server = loaded_.settings.server;
    if (server.admin_port != "off" && server.admin_token_file.empty() && !is_loopback(server.admin_host)) {
      problems_.push_back(
          fmt::format("{}: admin.host is {}, which others can reach; allowed: an address of this machine only, "
                      "like 127.0.0.1, or a token_file besides",
                      origin("admin.host"), escape_for_log(server.admin_host, 100)));
    }
  }

  void check_back_off() {
    const ServerLimits& limits = loaded_.settings.server.limits;
    if (limits.back_off_most < limits.back_off_first) {
      problems_.push_back(
          fmt::format("{}: limits.back_off_most_ms is {}; allowed: not less than back_off_first_ms, which is {}",
                      origin_of_either("limits.back_off_most_ms", "limits.back_off_first_ms"),
                      limits.back_off_most.count(), limits.back_off_first.count()));
    }
  }

  // Where the first was set, else the second.
  [[nodiscard]] const std::string& origin_of_either(std::string_view first, std::string_view second) const {
    return origin(first) == kDefault ? origin(second) : origin(first);
  }

  [[nodiscard]] const std::string& origin(std::string_view key) const {
    return loaded_.origins[index_of(*find_entry(key))];
  }

  std::expected<Loaded, std::vector<std::string>> take() {
    if (problems_.empty()) {
      check_relations();
      take_services();
    }
    if (!problems_.empty()) {
      return std::unexpected(std::move(problems_));
    }
    return std::move(loaded_);
  }

 private:
  Loaded loaded_;
  std::vector<std::pair<std::string, FileService>> services_;  ///< With their origins.
  std::vector<std::string> problems_;
};

}  // namespace

bool Loaded::is_set(std::string_view key) const { return origins[index_of(*find_entry(key))] != kDefault; }

std::expected<Loaded, std::vector<std::string>> load(const Sources& sources) {
  Loader loader;
  if (sources.file) {
    loader.file(*sources.file);
  }
  for (const Entry& entry : entries()) {
    const bool overridden = std::ranges::find(sources.flags, &entry, &Flag::entry) != sources.flags.end();
    if (entry.environment.empty() || !sources.environment || overridden) {
      continue;  // What a flag overrides may be anything: the variable may be meant for another program.
    }
    if (const auto value = sources.environment(entry.environment); value && !value->empty()) {
      loader.text(entry, entry.environment, *value);
    }
  }
  for (const Flag& flag : sources.flags) {
    loader.text(*flag.entry, flag.spelling, flag.value);
  }
  return loader.take();
}

std::optional<std::string> process_environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());  // NOLINT(concurrency-mt-unsafe): see the header.
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::expected<Flag, std::string> parse_set_flag(std::string_view key_and_value) {
  const std::size_t equals = key_and_value.find('=');
  if (equals == std::string_view::npos) {
    return std::unexpected(fmt::format("--set: '{}' has no '='; allowed: KEY=VALUE, like server.port=8080",
                                       escape_for_log(key_and_value, 80)));
  }
  const std::string_view key = key_and_value.substr(0, equals);
  const Entry* entry = find_entry(key);
  if (entry == nullptr) {
    std::vector<std::string_view> keys;
    for (const Entry& known : entries()) {
      keys.push_back(known.key);
    }
    const std::string near = nearest(key, keys);
    return std::unexpected(fmt::format("--set: unknown key '{}'; {}", escape_for_log(key, 80),
                                       near.empty() ? "allowed: the keys that 'jamsocket config example' lists"
                                                    : fmt::format("did you mean '{}'?", near)));
  }
  return Flag{
      .entry = entry, .spelling = fmt::format("--set {}", key), .value = std::string(key_and_value.substr(equals + 1))};
}

}  // namespace jamsocket::config
