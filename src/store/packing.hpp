// store/packing.hpp
//
// Checkpoints as they lie on disk: compressed, with a checksum over what they are and whose.

#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

[[nodiscard]] PackedCheckpoint pack(const Batch::Checkpointed& raw);
/// @error Malformed  it is damaged, or another room's.
[[nodiscard]] Result<Checkpoint> unpack(const PackedCheckpoint& packed);

}  // namespace jamsocket::store
