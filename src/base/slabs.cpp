#include "base/slabs.hpp"

#include <cstdint>
#include <new>

#include "base/check.hpp"
#include "base/sanitizers.hpp"

namespace jamsocket {
namespace {

// Also the alignment: by it a block's chunk is found.
constexpr std::size_t kChunkBytes = std::size_t{64} << 10U;

}  // namespace

struct Slabs::Block {
  Block* next;
};

struct alignas(16) Slabs::Chunk {
  Chunk* before = nullptr;
  Chunk* after = nullptr;
  Block* freed = nullptr;
  std::size_t used = 0;
  std::size_t untouched;  ///< Where those begin that were never given out: their pages need not be there yet.

  explicit Chunk(std::size_t begin) : untouched(begin) {}

  [[nodiscard]] bool is_full(std::size_t block_bytes) const {
    return freed == nullptr && untouched + block_bytes > kChunkBytes;
  }
  [[nodiscard]] void* take(std::size_t block_bytes) {
    ++used;
    if (freed != nullptr) {
      Block* const block = freed;
      freed = block->next;
      return block;
    }
    void* const block = reinterpret_cast<char*>(this) + untouched;
    untouched += block_bytes;
    return block;
  }
};

Slabs::~Slabs() {
  for (std::size_t size_class = 0; size_class < with_room_.size(); ++size_class) {
    while (Chunk* const chunk = with_room_[size_class]) {
      JAM_CHECK(chunk->used == 0);
      drop(chunk, size_class);
    }
  }
  JAM_CHECK(chunks_ == 0);
}

std::size_t Slabs::size_class_of(std::size_t bytes, std::size_t alignment) {
  // Under AddressSanitizer all are the heap's, so that it sees who uses one that was given back.
  const bool is_ours = !kAddressSanitizer && bytes <= kBlockBytesMax && alignment <= kUnit;
  return is_ours ? (bytes + kUnit - 1) / kUnit : 0;
}

void* Slabs::do_allocate(std::size_t bytes, std::size_t alignment) {
  const std::size_t size_class = size_class_of(bytes, alignment);
  if (size_class == 0) {
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  const std::size_t block_bytes = size_class * kUnit;
  Chunk* chunk = with_room_[size_class];
  if (chunk == nullptr) {
    chunk = add_chunk(block_bytes);
    link(chunk, size_class);
  }
  void* const block = chunk->take(block_bytes);
  if (chunk->is_full(block_bytes)) {
    unlink(chunk, size_class);
  }
  return block;
}

void Slabs::do_deallocate(void* block, std::size_t bytes, std::size_t alignment) {
  const std::size_t size_class = size_class_of(bytes, alignment);
  if (size_class == 0) {
    std::pmr::new_delete_resource()->deallocate(block, bytes, alignment);
    return;
  }
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(block) % kChunkBytes;
  Chunk* const chunk = reinterpret_cast<Chunk*>(static_cast<char*>(block) - offset);
  if (chunk->is_full(size_class * kUnit)) {
    link(chunk, size_class);
  }
  chunk->freed = new (block) Block{chunk->freed};
  JAM_CHECK(chunk->used > 0);
  // The last one stays: it would be made again for the next client that comes alone.
  const bool is_last = with_room_[size_class] == chunk && chunk->after == nullptr;
  if (--chunk->used == 0 && !is_last) {
    drop(chunk, size_class);
  }
}

Slabs::Chunk* Slabs::add_chunk(std::size_t block_bytes) {
  // The first block that is not the header's.
  const std::size_t begin = (sizeof(Chunk) + block_bytes - 1) / block_bytes * block_bytes;
  void* const memory = ::operator new(kChunkBytes, std::align_val_t{kChunkBytes});
  ++chunks_;
  return new (memory) Chunk(begin);
}

void Slabs::drop(Chunk* chunk, std::size_t size_class) {
  unlink(chunk, size_class);
  ::operator delete(chunk, std::align_val_t{kChunkBytes});
  --chunks_;
}

void Slabs::link(Chunk* chunk, std::size_t size_class) {
  Chunk*& first = with_room_[size_class];
  chunk->before = nullptr;
  chunk->after = first;
  if (first != nullptr) {
    first->before = chunk;
  }
  first = chunk;
}

void Slabs::unlink(Chunk* chunk, std::size_t size_class) {
  (chunk->before != nullptr ? chunk->before->after : with_room_[size_class]) = chunk->after;
  if (chunk->after != nullptr) {
    chunk->after->before = chunk->before;
  }
}

}  // namespace jamsocket
