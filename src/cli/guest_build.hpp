// cli/guest_build.hpp
//
// Makes a module of a service's source, with the compiler of its language.

#pragma once

#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace jamsocket::cli {

enum class GuestLanguage : std::uint8_t { Cpp, Rust, AssemblyScript };

struct GuestSource {
  GuestLanguage language = GuestLanguage::Cpp;
  std::filesystem::path folder;  ///< Where the compiler runs.
  std::filesystem::path file;    ///< C++, or one Rust file; empty: the folder is a package.
  std::string name;              ///< Of the module: "counter".
};

/// What a package is, by what is there: a .cpp or .rs file; or a folder with a Cargo.toml, a
/// package.json, or exactly one .cpp or .rs file.
/// @error NotFound         there is nothing at `package`, or nothing in it that can be built
/// @error InvalidArgument  it cannot be built, or it is not clear what of it
[[nodiscard]] Result<GuestSource> find_guest_source(const std::filesystem::path& package);

/// Builds the module at `output`, whose folder is made. What the compiler prints goes to standard error. What was at
/// `output` before stays as it is until the new module takes its place.
/// @error NotFound   a tool is missing: the message names the Debian package
/// @error Malformed  the compiler failed, or made no module
[[nodiscard]] Result<void> build_guest(const GuestSource& source, const std::filesystem::path& output);

}  // namespace jamsocket::cli
