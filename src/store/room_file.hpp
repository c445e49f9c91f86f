// store/room_file.hpp
//
// One room as a file of its own: what `jamsocket rooms export` writes, and what is left of an event that
// had to be undone.
//
//   "JAMROOM1" | u32 CRC-32 of what follows | one zstd frame of:
//   text service | text id | text birth | bool has a checkpoint | its u64 number, i64 timer, text bytes |
//   u64 number of records | each: u64 number, i64 timer, text bytes      (a text: u64 length, bytes)

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

[[nodiscard]] std::string to_room_file(const StoredRoom& room);
/// What a room may be unpacked, where nobody says less.
constexpr std::uint64_t kUnpackedBytesMax = std::uint64_t{6} << 30U;

/// Its key is none of any directory.
/// @param unpacked_bytes_max  looked at before anything is unpacked: a small file may claim to be a large room.
/// @error Malformed, TooLarge  it is no such file, or damaged; it is larger when unpacked.
[[nodiscard]] Result<StoredRoom> from_room_file(std::string_view bytes,
                                                std::uint64_t unpacked_bytes_max = kUnpackedBytesMax);

}  // namespace jamsocket::store
