// config/docs.hpp
//
// The table as text for people: the reference page, an example file, the settings in force.

#pragma once

#include <string>

#include "config/load.hpp"

namespace jamsocket::config {

/// docs/configuration.md, whole.
[[nodiscard]] std::string reference_markdown();

/// A jamsocket.toml with every key, commented out, at its default.
[[nodiscard]] std::string example_toml();

/// A jamsocket.toml of the settings in force, each line with where its value comes from.
[[nodiscard]] std::string settings_toml(const Loaded& loaded);

}  // namespace jamsocket::config
