// cli/setting_flags.hpp
//
// The flags that the table of settings names, on a command, and what was given of them.

#pragma once

#include <deque>
#include <expected>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace jamsocket::cli {

/// Must live until the command line is parsed: the parser writes into it.
class SettingFlags {
 public:
  /// All flags of the table, `--set` and `--config`.
  void add_to(CLI::App& app);
  /// `--set` and `--config` alone.
  void add_sources_to(CLI::App& app);

  [[nodiscard]] const std::string& config_file() const { return config_file_; }

  /// The settings in force.
  /// @param file  what to read; empty: no file.
  /// @return or what is wrong, a line each.
  [[nodiscard]] std::expected<config::Loaded, std::vector<std::string>> load(const std::string& file) const;

 private:
  struct Given {
    const config::Entry* entry = nullptr;
    std::string spelling;
    std::vector<std::string> values;
  };

  std::deque<Given> given_;  // A deque: the parser keeps pointers to its elements.
  std::vector<std::string> sets_;
  std::string config_file_;
};

}  // namespace jamsocket::cli
