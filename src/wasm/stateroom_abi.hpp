// wasm/stateroom_abi.hpp
//
// Stateroom 1/0: one function in, one function out, both with encoded messages. docs/abi.md.

#pragma once

#include <memory>

#include "wasm/guest.hpp"

namespace jamsocket::wasm {

/// Finds the exports and delivers *init*.
[[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> start_stateroom_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, service::Effects& effects);
/// The same for a guest that was restored: nothing of it runs.
[[nodiscard]] std::unique_ptr<service::ServiceInstance> resume_stateroom_room(std::unique_ptr<Guest> guest);

}  // namespace jamsocket::wasm
