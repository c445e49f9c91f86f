// wasm/jamsocket_abi.hpp
//
// Jamsocket 1/0: one export a callback, arguments through the guest's own allocator. docs/abi.md.

#pragma once

#include <memory>

#include "wasm/guest.hpp"

namespace jamsocket::wasm {

/// Finds the exports and runs `initialize`.
[[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> start_jamsocket_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, service::Effects& effects);
/// The same, and hands it what another module's `save` said; its exports have `load`.
[[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> migrate_jamsocket_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, std::string_view saved);
/// The same for a guest that was restored: nothing of it runs.
[[nodiscard]] std::unique_ptr<service::ServiceInstance> resume_jamsocket_room(std::unique_ptr<Guest> guest);

}  // namespace jamsocket::wasm
