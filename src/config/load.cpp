#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/log.hpp"
#include "config/assign.hpp"
#include "config/file.hpp"
#include "config/suggest.hpp"

namespace jamsocket::config {
namespace {

std::string at_place(const std::string& path, Place place) {
  return place.line == 0 ? path : fmt::format("{}:{}:{}", path, place.line, place.column);
}

std::size_t index_of(const Entry& entry) { return static_cast<std::size_t>(&entry - entries().data()); }

class Loader {
 public:
  Loader()
      : loaded_{.settings = {}, .services = {}, .origins = std::vector<std::string>(entries().size(), "default")} {}

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
    check_service();
  }

  void check_heartbeat() {
    const ServerOptions& server = loaded_.settings.server;
    if (server.heartbeat_timeout > server.heartbeat_interval) {
      return;
    }
    const std::string timeout_origin = origin("server.heartbeat_timeout_seconds");
    problems_.push_back(
        fmt::format("{}: heartbeat_timeout_seconds is {}; allowed: more than heartbeat_interval_seconds, which is {}",
                    timeout_origin == "default" ? origin("server.heartbeat_interval_seconds") : timeout_origin,
                    server.heartbeat_timeout.count() / 1000, server.heartbeat_interval.count() / 1000));
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
