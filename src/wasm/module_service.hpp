// wasm/module_service.hpp
//
// A module as a Service: what the rooms see of this folder.

#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "service/service.hpp"
#include "wasm/limits.hpp"
#include "wasm/module.hpp"

namespace jamsocket::wasm {

/// Every room is a fresh instance of the module. The module's engine must outlive the service and
/// all its instances; `limits.memory_bytes_max` must not exceed the engine's.
/// @param cache_dir  of compiled modules, for older code that rooms go on with; empty: none.
[[nodiscard]] std::unique_ptr<service::Service> make_module_service(std::string name,
                                                                    std::shared_ptr<const Module> module,
                                                                    const ModuleLimits& limits = {},
                                                                    std::filesystem::path cache_dir = {});

}  // namespace jamsocket::wasm
