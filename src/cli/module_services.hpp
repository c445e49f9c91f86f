// cli/module_services.hpp
//
// Modules as services of a server: those of the command line and the file, and those that operators add.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"
#include "server/server.hpp"
#include "wasm/engine.hpp"
#include "wasm/limits.hpp"

namespace jamsocket::cli {

/// Of an engine that can run all services of the settings.
[[nodiscard]] wasm::EngineOptions engine_options(const config::Loaded& loaded);

/// Of one service's settings.
[[nodiscard]] wasm::ModuleLimits module_limits(const config::ModuleLimits& limits);
/// Where compiled modules are kept.
[[nodiscard]] std::string cache_folder(const config::Settings& settings);

class ModuleServices final : public server::ServiceMaker {
 public:
  /// Both must outlive it.
  ModuleServices(const wasm::Engine& engine, const config::Loaded& loaded) : engine_(engine), loaded_(loaded) {}

  /// @param module_file  what is served at /ws/{room}; empty: nothing is.
  [[nodiscard]] Result<std::vector<server::OfferedService>> load_all(const std::string& module_file) const;
  /// @param wanted  JSON: the keys of [services.NAME] and their values; what is not named is as in the settings.
  [[nodiscard]] Result<server::OfferedService> make(const std::string& name, std::string_view wanted) override;

 private:
  [[nodiscard]] Result<server::OfferedService> load(std::string path_name, const std::string& module_file,
                                                    const config::Settings& settings) const;

  const wasm::Engine& engine_;
  const config::Loaded& loaded_;
};

}  // namespace jamsocket::cli
