// cli/module_host.hpp
//
// A module behind a server until a signal ends it: what `serve` and `dev` share.

#pragma once

#include <functional>
#include <string>

#include "config/settings.hpp"

namespace jamsocket::cli {

/// Call before any other thread was started.
/// @param ready  called once clients can come, after "listening on ..." was said.
/// @return the process's exit code.
[[nodiscard]] int serve_module(const std::string& module_file, const config::Settings& settings,
                               const std::function<void(std::uint16_t port)>& ready);

}  // namespace jamsocket::cli
