// sandbox/files.hpp
//
// Landlock: from here on, no files but these.

#pragma once

#include <filesystem>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::sandbox {

/// Files, and folders with all that is below them. What does not exist is passed over.
struct FileAccess {
  std::vector<std::filesystem::path> read;
  std::vector<std::filesystem::path> write;      ///< And read, make, rename and remove.
  std::vector<std::filesystem::path> execute;    ///< And read: programs and their libraries.
  std::vector<std::filesystem::path> sockets{};  ///< Folders in which unix-domain sockets are made and removed.
};

/// For the calling thread and those it starts, and for good. Files that are open stay so. The process must have given
/// up new privileges. Where the kernel can do it, connecting to others over TCP is refused as well.
/// @error Unsupported  the kernel has no Landlock (Linux 5.13), or it is switched off.
/// @error Io           a path cannot be looked at.
[[nodiscard]] Result<void> confine_files(const FileAccess& access);

}  // namespace jamsocket::sandbox
