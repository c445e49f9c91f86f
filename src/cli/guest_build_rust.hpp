// cli/guest_build_rust.hpp
//
// Modules in Rust: finds a compiler that has a WebAssembly target, and uses it.

#pragma once

#include "cli/guest_build.hpp"

namespace jamsocket::cli {

/// See build_guest. A package without dependencies needs no cargo.
/// @param kept  the folder in which cargo keeps what it compiled, for the next time.
[[nodiscard]] Result<void> build_rust(const GuestSource& source, const std::filesystem::path& output,
                                      const std::filesystem::path& kept);

}  // namespace jamsocket::cli
