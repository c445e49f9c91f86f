#include "wasm/memory_slots.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "base/system.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::size_t kSlotsPerBlock = 64;
// What a used slot keeps accessible for its next owner; the rest is made inaccessible again. Most
// guests start with 17 pages or fewer, so that a slot's second life needs no mprotect.
constexpr std::size_t kKeptAccessibleBytes = std::size_t{2} << 20U;
// How much of them may still be in memory while nobody has it.
constexpr std::size_t kKeptBytesMax = std::size_t{8} << 20U;
constexpr std::size_t kSystemPageBytesMin = 4096;

// Of what of a slot is kept, the bytes in [begin, end).
std::size_t kept_between(const MemorySlot& slot, std::size_t begin, std::size_t end) {
  return std::min(slot.kept_bytes, end) - std::min(slot.kept_bytes, begin);
}

}  // namespace

struct MemorySlots::Block {
  std::byte* start = nullptr;
  std::array<MemorySlot, kSlotsPerBlock> slots;
  std::vector<MemorySlot*> free;  // Handed out from the back.
  [[nodiscard]] bool is_unused() const { return free.size() == kSlotsPerBlock; }
};

MemorySlots::MemorySlots(const Shape& shape) : shape_(shape) {
  constexpr std::size_t kUnit = std::size_t{64} << 10U;
  JAM_CHECK(shape_.reservation_bytes > 0 && shape_.reservation_bytes % kUnit == 0);
  JAM_CHECK(shape_.guard_bytes > 0 && shape_.guard_bytes % kUnit == 0);
}

MemorySlots::~MemorySlots() {
  JAM_CHECK(in_use_ == 0);
  for (const auto& block : blocks_) {
    ::munmap(block->start, stride() * kSlotsPerBlock);
  }
}

Result<void> MemorySlots::add_block() {
  void* const start =
      ::mmap(nullptr, stride() * kSlotsPerBlock, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    return fail(ErrorCode::LimitReached, fmt::format("no address space for more rooms: {}", words_of(errno)));
  }
  auto block = std::make_unique<Block>();
  block->start = static_cast<std::byte*>(start);
  block->free.reserve(kSlotsPerBlock);
  for (std::size_t i = kSlotsPerBlock; i-- > 0;) {  // Lowest address first.
    block->slots[i].pool = this;
    block->slots[i].base = block->start + i * stride();
    block->free.push_back(&block->slots[i]);
  }
  with_free_.push_back(block.get());
  const auto after = std::ranges::upper_bound(blocks_, block->start, {}, [](const auto& each) { return each->start; });
  blocks_.insert(after, std::move(block));
  return {};
}

MemorySlot* MemorySlots::take_kept() {
  const std::lock_guard lock(mutex_);
  if (kept_.empty()) {
    return nullptr;
  }
  MemorySlot* const slot = kept_.back();
  kept_.pop_back();
  kept_bytes_.fetch_sub(slot->accessible_bytes, std::memory_order_relaxed);
  ++in_use_;
  return slot;
}

Result<MemorySlot*> MemorySlots::take_any() {
  if (MemorySlot* const slot = take_kept()) {
    return slot;
  }
  const std::lock_guard lock(mutex_);
  if (with_free_.empty()) {
    JAM_TRY_VOID(add_block());
  }
  Block& block = *with_free_.back();
  if (&block == unused_) {
    unused_ = nullptr;
  }
  MemorySlot* const slot = block.free.back();
  block.free.pop_back();
  if (block.free.empty()) {
    with_free_.pop_back();
  }
  ++in_use_;
  return slot;
}

Result<MemorySlot*> MemorySlots::take(std::size_t size_bytes) {
  if (size_bytes > shape_.reservation_bytes) {
    return fail(ErrorCode::TooLarge, fmt::format("the module starts with {} bytes of memory; at most {} are allowed",
                                                 size_bytes, shape_.reservation_bytes));
  }
  MemorySlot* const slot = JAM_TRY(take_any());
  slot->size_bytes = 0;
  slot->limit_bytes = shape_.reservation_bytes;
  slot->growth_refused = false;
  if (!grow(*slot, size_bytes)) {
    give_back(*slot);
    return fail(ErrorCode::LimitReached,
                "the system has no memory or no mappings left for another room (vm.max_map_count)");
  }
  return slot;
}

bool MemorySlots::grow(MemorySlot& slot, std::size_t size_bytes) {
  JAM_CHECK(size_bytes >= slot.size_bytes);
  if (size_bytes > slot.limit_bytes) {
    slot.growth_refused = true;
    return false;
  }
  if (size_bytes > slot.accessible_bytes) {
    if (::mprotect(slot.base, size_bytes, PROT_READ | PROT_WRITE) != 0) {
      slot.growth_refused = true;
      return false;
    }
    slot.pool->kept_bytes_.fetch_sub(kept_between(slot, slot.accessible_bytes, size_bytes), std::memory_order_relaxed);
    slot.accessible_bytes = size_bytes;
  } else if (size_bytes < slot.accessible_bytes) {
    // A kept slot offers more than this memory may touch: what is beyond its size must fault.
    JAM_CHECK(::mprotect(slot.base + size_bytes, slot.accessible_bytes - size_bytes, PROT_NONE) == 0);
    slot.pool->kept_bytes_.fetch_add(kept_between(slot, size_bytes, slot.accessible_bytes), std::memory_order_relaxed);
    slot.accessible_bytes = size_bytes;
  }
  if (slot.total_bytes != nullptr) {
    slot.total_bytes->fetch_add(size_bytes - slot.size_bytes, std::memory_order_relaxed);
  }
  slot.size_bytes = size_bytes;
  return true;
}

// Takes `bytes` of what may be kept. @return whether there was as much.
bool MemorySlots::reserve_kept(std::size_t bytes) {
  if (kept_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= kKeptBytesMax) {
    return true;
  }
  kept_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

// Where most of it is in memory it may stay there, in few slots. What is not, for it was never touched or was swapped
// out, is made zero with the rest.
bool MemorySlots::keep(MemorySlot& slot) {
  const std::size_t bytes = slot.accessible_bytes;
  if (bytes == 0 || bytes > kKeptAccessibleBytes || !reserve_kept(bytes)) {
    return false;
  }
  std::array<unsigned char, kKeptAccessibleBytes / kSystemPageBytesMin> in_memory;
  const std::size_t pages = bytes / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto end = in_memory.begin() + static_cast<std::ptrdiff_t>(pages);
  const bool is_known = ::mincore(slot.base, bytes, in_memory.data()) == 0;
  const auto is_in_memory = [](unsigned char page) { return (page & 1U) != 0; };
  if (!is_known || static_cast<std::size_t>(std::count_if(in_memory.begin(), end, is_in_memory)) * 4 < pages * 3) {
    kept_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  std::memset(slot.base, 0, bytes);
  slot.kept_bytes = std::max(slot.kept_bytes, bytes);
  const std::lock_guard lock(mutex_);
  kept_.push_back(&slot);
  --in_use_;
  return true;
}

void MemorySlots::give_back(MemorySlot& slot) {
  if (slot.total_bytes != nullptr) {
    std::exchange(slot.total_bytes, nullptr)->fetch_sub(slot.size_bytes, std::memory_order_relaxed);
  }
  slot.size_bytes = 0;
  if (keep(slot)) {
    return;
  }
  if (const std::size_t touched = std::max(slot.accessible_bytes, slot.kept_bytes); touched > 0) {
    JAM_CHECK(::madvise(slot.base, touched, MADV_DONTNEED) == 0);
    kept_bytes_.fetch_sub(touched - slot.accessible_bytes, std::memory_order_relaxed);
    slot.kept_bytes = 0;
  }
  if (slot.accessible_bytes > kKeptAccessibleBytes) {
    JAM_CHECK(::mprotect(slot.base + kKeptAccessibleBytes, slot.accessible_bytes - kKeptAccessibleBytes, PROT_NONE) ==
              0);
    slot.accessible_bytes = kKeptAccessibleBytes;
  }
  const std::lock_guard lock(mutex_);
  --in_use_;
  Block& block = *block_of(slot.base);
  block.free.push_back(&slot);
  if (block.free.size() == 1) {
    with_free_.push_back(&block);
  }
  if (block.is_unused()) {
    keep_or_unmap(block);
  }
}

// One unused block is kept, so that rooms that come and go at a block's edge do not map and unmap it;
// it stands first in `with_free_`, which is where slots are taken from last.
void MemorySlots::keep_or_unmap(Block& block) {
  const auto at = std::ranges::find(with_free_, &block);
  if (unused_ == nullptr) {
    unused_ = &block;
    std::swap(*at, with_free_.front());
    return;
  }
  with_free_.erase(at);
  JAM_CHECK(::munmap(block.start, stride() * kSlotsPerBlock) == 0);
  std::erase_if(blocks_, [&block](const auto& each) { return each.get() == &block; });
}

// The last block that starts at or before `address`; null if there is none.
MemorySlots::Block* MemorySlots::block_of(const std::byte* address) {
  const auto after =
      std::ranges::upper_bound(blocks_, address, {}, [](const auto& each) -> const std::byte* { return each->start; });
  return after == blocks_.begin() ? nullptr : std::prev(after)->get();
}

MemorySlot* MemorySlots::find(const void* base) {
  const auto* const address = static_cast<const std::byte*>(base);
  const std::lock_guard lock(mutex_);
  Block* const block = block_of(address);
  if (block == nullptr) {
    return nullptr;
  }
  const auto offset = static_cast<std::size_t>(address - block->start);
  const std::size_t index = offset / stride();
  return index < kSlotsPerBlock && offset % stride() == 0 ? &block->slots[index] : nullptr;
}

std::size_t MemorySlots::in_use() {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

}  // namespace jamsocket::wasm
