// wasm/fault.hpp
//
// Why a call into a guest failed, in a sentence, with the guest's own backtrace.

#pragma once

#include <cstdint>

#include "service/service.hpp"
#include "wasm/call_state.hpp"
#include "wasm/engine_api.hpp"

namespace jamsocket::wasm {

enum class GrowthRefused : std::uint8_t { No, Yes };

/// @param error, trap  what the call came back with: one of them is set.
[[nodiscard]] service::Fault fault_of(const CallState& state, const ModuleLimits& limits, GrowthRefused growth,
                                      const wasmtime_error_t* error, const wasm_trap_t* trap);

}  // namespace jamsocket::wasm
