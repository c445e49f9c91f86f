// config/settings.hpp
//
// Everything that can be configured, and the one table that names it.
//
// From the table come the command's flags and help, the check of jamsocket.toml, the environment
// variables that count, and docs/configuration.md. A new setting is one field and one entry.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jamsocket/server.hpp"

namespace jamsocket::config {

/// What `jamsocket dev` and `build` make a module of; see docs/configuration.md, section [service].
struct ServiceSettings {
  std::string package;       ///< A folder with one source file, a Cargo.toml or a package.json.
  std::string source;        ///< One C++ or Rust source file.
  std::string module;        ///< A built module.
  std::string module_cache;  ///< Folder of compiled modules; empty: default_module_cache().
};

/// Its `package` is ServerOptions::client_dir.
struct ClientSettings {
  std::string optimization_level;
};

/// What one room's module may use.
struct ModuleLimits {
  std::size_t room_memory_bytes_max = std::size_t{64} << 20U;
  std::size_t room_stack_bytes_max = std::size_t{256} << 10U;
  std::uint32_t room_table_elements_max = 100'000;  ///< Of each table.
  std::chrono::milliseconds event_cpu_max{100};
  std::chrono::milliseconds event_wall_max{5'000};
};

/// How modules of strangers are compiled.
struct CompileSettings {
  std::chrono::milliseconds cpu_max{30'000};
  std::chrono::milliseconds wall_max{60'000};
  std::size_t memory_bytes_max = std::size_t{2} << 30U;
};

struct Settings {
  ServerOptions server;
  ServiceSettings service;
  ClientSettings client;
  ModuleLimits module_limits;
  std::string compile_apart = "services";  ///< never, services, always.
  CompileSettings compile{};
  std::string log_format = "auto";  ///< auto, text, json.
  std::string sandbox = "off";      ///< off, on.
};

enum class Unit : std::uint8_t { Count, Bytes, Seconds, Milliseconds };

/// A whole number in its unit.
struct Number {
  Unit unit = Unit::Count;
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  std::uint64_t step = 1;  ///< Values are multiples of it.
  std::uint64_t (*get)(const Settings&) = nullptr;
  void (*set)(Settings&, std::uint64_t) = nullptr;
};

enum class PathKind : std::uint8_t { NotAPath, Path, Folder, ExistingFolder };

struct Text {
  std::string_view allowed{};  ///< For a person: "never, immediate or <n>sec".
  bool (*is_allowed)(std::string_view) = nullptr;
  std::string& (*field)(Settings&) = nullptr;
  PathKind path = PathKind::NotAPath;
  enum class Numbers : std::uint8_t { Refused, Accepted } numbers = Numbers::Refused;  ///< In a file, like 8080.
};

struct TextList {
  std::string_view allowed{};  ///< Of each element.
  bool (*is_allowed)(std::string_view) = nullptr;
  std::vector<std::string>& (*field)(Settings&) = nullptr;
};

using Field = std::variant<Number, Text, TextList>;

enum class Scope : std::uint8_t {
  Server,   ///< One value for all.
  Service,  ///< [services.NAME] may have its own, under the key's last word.
};

struct Entry {
  std::string_view key;          ///< In jamsocket.toml: "server.port".
  std::string_view flags;        ///< "-p,--port"; empty: only --set KEY=VALUE.
  std::string_view environment;  ///< "PORT", or empty.
  std::string_view help;         ///< One sentence, without a full stop.
  Field field;
  Scope scope = Scope::Server;
};

/// The table, section by section; the top level first.
[[nodiscard]] std::span<const Entry> entries();

/// nullptr: there is no such key.
[[nodiscard]] const Entry* find_entry(std::string_view key);

/// "port" of "server.port".
[[nodiscard]] std::string_view last_word(std::string_view key);
/// What `name` sets in [services.NAME]; nullptr: nothing.
[[nodiscard]] const Entry* find_service_entry(std::string_view name);
/// Gives `to` the value that `entry` has in `from`.
void copy_value(const Entry& entry, const Settings& from, Settings& to);

/// "0 to 65535", "1 KiB to 1 GiB, in bytes or like \"64MiB\"", "never, immediate or <n>sec", ...
[[nodiscard]] std::string allowed_text(const Entry& entry);

/// The value as jamsocket.toml would have it: `8080`, `"64MiB"`, `["origin"]`.
[[nodiscard]] std::string value_as_toml(const Entry& entry, const Settings& settings);

/// $XDG_CACHE_HOME/jamsocket/modules, else ~/.cache/jamsocket/modules; empty: neither variable is set.
[[nodiscard]] std::string default_module_cache();

}  // namespace jamsocket::config
