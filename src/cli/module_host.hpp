// cli/module_host.hpp
//
// Modules behind a server until a signal ends it: what `serve` and `dev` share.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "config/load.hpp"

namespace jamsocket::cli {

/// Call before any other thread was started.
/// @param module_file  what is served at /ws/{room}; empty: only the services of the settings are served.
/// @param ready  called with where it listens once clients can come, after "listening on ..." was said.
/// @return the process's exit code.
[[nodiscard]] int serve_module(const std::string& module_file, const config::Loaded& loaded,
                               const std::function<void(const std::vector<Endpoint>&)>& ready);

}  // namespace jamsocket::cli
