// wasm/mappings.hpp
//
// How many rooms' memories the kernel's limit of mappings has place for.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace jamsocket::wasm {

/// @param mappings_max  what a process may have, `vm.max_map_count`.
/// @return rooms of modules that fit beside what the process itself maps; at least 1.
[[nodiscard]] std::uint32_t rooms_for_mappings(std::uint64_t mappings_max);

/// The system's limit; nullopt where it cannot be read.
[[nodiscard]] std::optional<std::uint64_t> read_mappings_max(const std::string& file = "/proc/sys/vm/max_map_count");

}  // namespace jamsocket::wasm
