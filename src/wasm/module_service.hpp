// wasm/module_service.hpp
//
// A module as a Service: what the rooms see of this folder.

#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "service/service.hpp"
#include "wasm/compiler.hpp"
#include "wasm/limits.hpp"
#include "wasm/module.hpp"

namespace jamsocket::wasm {

/// How code is loaded that rooms were made by and that is no longer served.
struct OlderCode {
  std::filesystem::path cache_dir;           ///< Of compiled modules; empty: none.
  std::shared_ptr<const Compiler> compiler;  ///< Null: this process compiles.
};

/// Every room is a fresh instance of the module. The module's engine must outlive the service and
/// all its instances; `limits.memory_bytes_max` must not exceed the engine's.
[[nodiscard]] std::unique_ptr<service::Service> make_module_service(std::string name,
                                                                    std::shared_ptr<const Module> module,
                                                                    const ModuleLimits& limits = {},
                                                                    OlderCode older_code = {});

}  // namespace jamsocket::wasm
