// store/packing.hpp
//
// Checkpoints as they lie on disk: compressed, with a checksum over what they are and whose.

#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

/// A compressed checkpoint: `bytes` of `checkpoint` is one zstd frame, behind a CRC-32 of the room's key,
/// the number, the timer and the frame.
struct PackedCheckpoint {
  RoomKey key{};
  Checkpoint checkpoint;
};

[[nodiscard]] PackedCheckpoint pack(const Batch::Checkpointed& raw);
/// @error Malformed  it is damaged, or another room's.
[[nodiscard]] Result<Checkpoint> unpack(const PackedCheckpoint& packed);

}  // namespace jamsocket::store
