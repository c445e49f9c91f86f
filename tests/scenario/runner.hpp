// tests/scenario/runner.hpp
//
// Runs a scenario against a whole server in this process: real sockets, virtual time.

#pragma once

#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "scenario.hpp"
#include "service/service.hpp"

namespace jamsocket::scenario {

/// @param file  the scenario's, for messages.
/// @error any  "FILE:LINE: what was expected, and what happened".
[[nodiscard]] Result<void> run_scenario(std::string_view file, const Scenario& scenario,
                                        std::unique_ptr<service::Service> service);

}  // namespace jamsocket::scenario
