// config/suggest.hpp
//
// "Did you mean ...?" for keys, flags and commands that were mistyped.

#pragma once

#include <span>
#include <string>
#include <string_view>

namespace jamsocket::config {

/// The candidate nearest to `word`, if it is near enough to have been meant; else empty.
/// Counts insertions, removals, replacements and swaps of neighbours; at most a third of the word.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace jamsocket::config
