// store/packing.hpp
//
// Checkpoints as they lie on disk: compressed, with a checksum over what they are and whose.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/buffers.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

[[nodiscard]] PackedCheckpoint pack(const Batch::Checkpointed& raw);

/// Unpacks one after the other, with the same working memory.
class Unpacker {
 public:
  Unpacker();
  ~Unpacker();
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  /// @param packed   whose `bytes` are not looked at,
  /// @param bytes    but these.
  /// @param buffers  where the checkpoint's bytes come from, and may be given back to.
  /// @error Malformed  it is damaged, or another room's.
  [[nodiscard]] Result<Checkpoint> unpack(const PackedCheckpoint& packed, std::string_view bytes, Buffers& buffers);

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

/// The same for a single one.
[[nodiscard]] Result<Checkpoint> unpack(const PackedCheckpoint& packed);

}  // namespace jamsocket::store
