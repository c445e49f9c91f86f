// cli/project.hpp
//
// A folder with a service and its jamsocket.toml: what `dev` and `build` work on.

#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "cli/setting_flags.hpp"
#include "config/load.hpp"

namespace jamsocket::cli {

struct Project {
  std::filesystem::path folder;
  config::Loaded loaded;
};

/// Reads `folder`/jamsocket.toml, or the file that --config names; without either, the defaults.
/// @return or the exit code: what was wrong has been said.
[[nodiscard]] std::expected<Project, int> open_project(const std::string& folder, const SettingFlags& flags);

/// FOLDER/.jamsocket, for what is made there: modules, kept rooms, a private key. Made, with a .gitignore that leaves
/// it out of whoever's repository the folder is in. Failing shows when something is put there.
[[nodiscard]] std::filesystem::path make_own_folder(const std::filesystem::path& folder);

/// Whether all that the project serves are the services of its [services.NAME]: it names no other, and there is none.
[[nodiscard]] bool has_sections_only(const Project& project);

/// Builds the project's service; what [service] module names is not built.
/// @param output  where to; empty: FOLDER/.jamsocket/NAME.wasm.
/// @return the module's file, or the exit code: what was wrong has been said.
[[nodiscard]] std::expected<std::filesystem::path, int> build_project(const Project& project,
                                                                      const std::string& output);

}  // namespace jamsocket::cli
