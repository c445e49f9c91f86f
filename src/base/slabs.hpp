// base/slabs.hpp
//
// Memory for small things of which there are many and that live long, apart from the heap: there each of them would
// hold a page in which everything else is long gone. (10,000 rooms that slept beside their clients held 4.7 KB each so,
// of which 1.1 KB were in use.)
//
// Blocks of one size lie in chunks; a chunk in which nothing is left goes back to the system.
//
// Thread: one, its owner's.

#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>

namespace jamsocket {

class Slabs final : public std::pmr::memory_resource {
 public:
  static constexpr std::size_t kBlockBytesMax = 512;  ///< What is larger comes from the heap.

  Slabs() = default;
  /// Everything must have been given back.
  ~Slabs() override;
  Slabs(const Slabs&) = delete;
  Slabs& operator=(const Slabs&) = delete;

  [[nodiscard]] std::size_t chunks() const { return chunks_; }

 private:
  static constexpr std::size_t kUnit = 16;  // Sizes are multiples of it, and so are addresses.
  struct Chunk;
  struct Block;

  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  /// In units; 0: such a block is the heap's.
  [[nodiscard]] static std::size_t size_class_of(std::size_t bytes, std::size_t alignment);
  Chunk* add_chunk(std::size_t block_bytes);
  void drop(Chunk* chunk, std::size_t size_class);
  void link(Chunk* chunk, std::size_t size_class);
  void unlink(Chunk* chunk, std::size_t size_class);

  std::array<Chunk*, kBlockBytesMax / kUnit + 1> with_room_{};  ///< By size in units: chunks with a free block.
  std::size_t chunks_ = 0;
};

}  // namespace jamsocket
