#include "cli/project.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <fstream>

#include "base/log.hpp"
#include "cli/guest_build.hpp"
#include "cli/output.hpp"
#include "config/patterns.hpp"

namespace jamsocket::cli {

namespace fs = std::filesystem;

std::expected<Project, int> open_project(const std::string& folder, const SettingFlags& flags) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return std::unexpected(complain(fmt::format("'{}' is not a folder", escape_for_log(folder, 300))));
  }
  std::string file = flags.config_file();
  const std::string usual = (fs::path(folder) / "jamsocket.toml").lexically_normal().string();
  if (file.empty() && fs::exists(usual, error)) {
    file = usual;
  }
  auto loaded = flags.load(file);
  if (!loaded) {
    return std::unexpected(complain_of_settings(loaded.error()));
  }
  return Project{.folder = folder, .loaded = std::move(*loaded)};
}

fs::path make_own_folder(const fs::path& folder) {
  fs::path own = (folder / ".jamsocket").lexically_normal();
  std::error_code error;
  fs::create_directory(own, error);
  if (!fs::exists(own / ".gitignore", error)) {
    std::ofstream(own / ".gitignore") << "*\n";
  }
  return own;
}

bool has_sections_only(const Project& project) {
  const config::ServiceSettings& service = project.loaded.settings.service;
  if (project.loaded.services.empty() || !service.module.empty() || !service.source.empty() ||
      !service.package.empty()) {
    return false;
  }
  const auto source = find_guest_source(project.folder);
  return !source && source.error().code == ErrorCode::NotFound;
}

std::expected<fs::path, int> build_project(const Project& project, const std::string& output) {
  const config::ServiceSettings& service = project.loaded.settings.service;
  if (!service.module.empty()) {
    return service.module;
  }
  const std::string& named = service.source.empty() ? service.package : service.source;
  const auto source = find_guest_source(named.empty() ? project.folder : fs::path(named));
  if (!source) {
    return std::unexpected(complain(source.error().message));
  }
  fs::path module = output.empty() ? make_own_folder(project.folder) / (source->name + ".wasm") : fs::path(output);
  note(fmt::format("building {}", module.string()));
  if (const Result<void> built = build_guest(*source, module); !built) {
    return std::unexpected(complain(built.error().message));
  }
  std::error_code error;
  const std::uintmax_t size = fs::file_size(module, error);
  note(error ? fmt::format("built {}", module.string()) : fmt::format("built {} ({} bytes)", module.string(), size));
  return module;
}

}  // namespace jamsocket::cli
