// config/load.hpp
//
// The settings of one run: flags before the environment, before the file, before the defaults.

#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/file.hpp"
#include "config/settings.hpp"

namespace jamsocket::config {

/// A flag as given: which entry it sets, and how it was spelled.
struct Flag {
  const Entry* entry = nullptr;
  std::string spelling;  ///< "--port", or "--set server.port".
  std::string value;
};

struct Sources {
  std::optional<std::string> file;  ///< Path of a jamsocket.toml; a file that is named must exist.
  std::function<std::optional<std::string>(std::string_view name)> environment;  ///< An empty value counts as unset.
  std::vector<Flag> flags;                                                       ///< The last one of an entry wins.
};

/// A service of [services.NAME].
struct NamedService {
  std::string name;
  std::string origin;         ///< "jamsocket.toml:3:1".
  Settings settings;          ///< Those of the whole, but for what its section sets and for its files.
  std::vector<FileKey> keys;  ///< What its section sets.
};

struct Loaded {
  Settings settings;
  std::vector<NamedService> services;  ///< By name.
  /// One an entry of the table: "default", "jamsocket.toml:3:8", "PORT", "--port".
  std::vector<std::string> origins;

  /// Whether a flag, the environment or the file gives `key` its value, and not the default.
  [[nodiscard]] bool is_set(std::string_view key) const;
};

/// @return or everything that is wrong, a line each: `jamsocket.toml:3:8: what was wrong; what is allowed`.
///         Never an empty list. The process's exit code for these is 2.
[[nodiscard]] std::expected<Loaded, std::vector<std::string>> load(const Sources& sources);

/// For Sources::environment: the process's own. Call before any other thread starts.
[[nodiscard]] std::optional<std::string> process_environment(std::string_view name);

/// The flag that `--set KEY=VALUE` means.
/// @return or what is wrong with it, in one line.
[[nodiscard]] std::expected<Flag, std::string> parse_set_flag(std::string_view key_and_value);

}  // namespace jamsocket::config
