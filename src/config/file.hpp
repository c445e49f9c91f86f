// config/file.hpp
//
// Reads jamsocket.toml: every key checked against the table, every problem with its line and column.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

namespace jamsocket::config {

struct Place {
  std::uint32_t line = 0;  ///< From 1; 0: the file as a whole.
  std::uint32_t column = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct FileProblem {
  Place place;
  std::string text;  ///< What was wrong; what is allowed.
};

/// A key that the file sets, and where its value stands.
struct FileKey {
  const Entry* entry = nullptr;
  Place place;
};

/// A table [services.NAME].
struct FileService {
  std::string name;
  Place place;
  std::vector<FileKey> keys;
  Settings values;  ///< What the keys set; all else means nothing.
};

struct FileContents {
  std::vector<FileKey> keys;
  std::vector<FileService> services;  ///< By name.
  std::vector<FileProblem> problems;  ///< By place; empty: all of the file is set.
};

/// Sets what `text` says. Never throws, whatever the bytes.
/// @param folder  the file's: relative paths are relative to it.
[[nodiscard]] FileContents apply_toml(std::string_view text, const std::string& folder, Settings& settings);

/// The same for the file at `path`, at most 1 MiB of it.
[[nodiscard]] FileContents apply_file(const std::string& path, Settings& settings);

}  // namespace jamsocket::config
