// wasm/memory_slots.hpp
//
// Where the guests' linear memories live: equal slots of address space, cut from large mappings and
// used again, so that tens of thousands of rooms fit into the kernel's limit of mappings.
//
// A slot is a reservation (a room's memory limit, 64 MiB by default) and a guard. Its first bytes, up
// to the memory's size, are readable and writable, the rest is not mapped to anything: two mappings
// a slot. Compiled code checks addresses against the reservation only and relies on the rest to
// fault. A slot is zero when it is handed out, whoever had it before. A few MiB of what was given back
// are kept, made zero by hand: memory that is new to the process costs several times as much.
//
// Thread-safe: any shard makes and drops rooms.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::wasm {

class MemorySlots;

/// One linear memory's place. Owned by the engine from `take` to `give_back`.
struct MemorySlot {
  MemorySlots* pool = nullptr;
  std::byte* base = nullptr;
  std::size_t size_bytes = 0;        ///< The guest's memory; never shrinks while it lives.
  std::size_t limit_bytes = 0;       ///< `grow` refuses beyond.
  std::size_t accessible_bytes = 0;  ///< Readable and writable from the base on; what lies beyond size is zero.
  std::size_t kept_bytes = 0;        ///< So many from the base on are in memory: beyond what is accessible, zeros.
  bool growth_refused = false;       ///< Since its owner last cleared it.
  std::atomic<std::uint64_t>* total_bytes = nullptr;  ///< Where its size is counted while it is taken; null: nowhere.

  /// Counts its size, and what it grows by, in `total`, until it is given back.
  void count_in(std::atomic<std::uint64_t>& total) {
    total_bytes = &total;
    total.fetch_add(size_bytes, std::memory_order_relaxed);
  }
};

class MemorySlots {
 public:
  /// All in bytes, multiples of 64 KiB.
  struct Shape {
    std::size_t reservation_bytes = std::size_t{64} << 20U;
    std::size_t guard_bytes = std::size_t{64} << 10U;
  };

  explicit MemorySlots(const Shape& shape);
  ~MemorySlots();
  MemorySlots(const MemorySlots&) = delete;
  MemorySlots& operator=(const MemorySlots&) = delete;

  /// A zeroed slot of which the first `size_bytes` are the guest's.
  /// @error TooLarge      more than a reservation.
  /// @error LimitReached  the system gives no more address space or mappings.
  [[nodiscard]] Result<MemorySlot*> take(std::size_t size_bytes);
  /// @return false, and notes it in the slot, when that is beyond its limit or the system refuses.
  [[nodiscard]] static bool grow(MemorySlot& slot, std::size_t size_bytes);
  /// The slot's content is gone when this returns, and so may be the slot.
  void give_back(MemorySlot& slot);
  /// The slot whose memory starts at `base`, or null.
  [[nodiscard]] MemorySlot* find(const void* base);

  [[nodiscard]] const Shape& shape() const { return shape_; }
  /// Slots handed out.
  [[nodiscard]] std::size_t in_use();

 private:
  struct Block;

  [[nodiscard]] Result<MemorySlot*> take_any();
  [[nodiscard]] MemorySlot* take_kept();
  [[nodiscard]] bool reserve_kept(std::size_t bytes);
  [[nodiscard]] bool keep(MemorySlot& slot);
  [[nodiscard]] Result<void> add_block();
  [[nodiscard]] Block* block_of(const std::byte* address);
  void keep_or_unmap(Block& block);
  [[nodiscard]] std::size_t stride() const { return shape_.reservation_bytes + shape_.guard_bytes; }

  Shape shape_;
  std::mutex mutex_;  // Guards all that follows; held for a few instructions, or while a block is mapped or unmapped.
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Block*> with_free_;  // Blocks with free slots; the last is taken from.
  Block* unused_ = nullptr;        // A block of which no slot is in use, if there is one: at most one is kept.
  std::vector<MemorySlot*> kept_;  // Free, in no block's list, and still in memory: all zeros.
  std::size_t in_use_ = 0;

  // What is in memory and nobody's: of free slots, and of those in use what they cannot access yet. Not guarded.
  std::atomic<std::size_t> kept_bytes_{0};
};

}  // namespace jamsocket::wasm
