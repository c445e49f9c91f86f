// store/schema.hpp
//
// The tables of a data directory's file, and the way from each older format of it to the newest.

#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

/// The number in the file that says how to read it.
inline constexpr std::int64_t kFormatVersion = 2;

/// The format of the file, 0 for an empty one. Changes nothing.
/// @error Unsupported  a newer version wrote it, or the file is another program's.
[[nodiscard]] Result<std::int64_t> format_of(const Connection& connection);
/// Makes the tables of an empty file, or brings those of format `from` up: one transaction.
[[nodiscard]] Result<void> bring_up(const Connection& connection, std::int64_t from);

}  // namespace jamsocket::store
