#include "base/output.hpp"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.hpp"

namespace jamsocket {
namespace {

constexpr std::size_t kFreeChunks = 64;

void add_reference(Chunk* chunk) { ++chunk->references; }

void drop_reference(Chunk* chunk) {
  JAM_CHECK(chunk->references > 0);
  if (--chunk->references == 0) {
    std::free(chunk);
  }
}

Chunk* make_chunk(std::size_t capacity) {
  JAM_CHECK(capacity <= std::numeric_limits<std::uint32_t>::max());
  void* memory = std::malloc(sizeof(Chunk) + capacity);
  JAM_CHECK(memory != nullptr);
  auto* chunk = new (memory) Chunk;
  chunk->capacity = static_cast<std::uint32_t>(capacity);
  chunk->references = 1;
  return chunk;
}

}  // namespace

KeptSlice& KeptSlice::operator=(KeptSlice&& other) noexcept {
  std::swap(slice_, other.slice_);
  return *this;
}

KeptSlice::~KeptSlice() {
  if (slice_.chunk != nullptr) {
    drop_reference(slice_.chunk);
  }
}

// The arena itself holds one reference on each chunk it may still write to or hand out slices of.
OutputArena::OutputArena(WriteMessage writer, std::size_t chunk_bytes) : writer_(writer), chunk_bytes_(chunk_bytes) {}

Slice OutputArena::bare(OutputArena& arena, MessageKind /*kind*/, std::string_view payload) {
  return arena.append({}, payload);
}

OutputArena::~OutputArena() {
  end_turn();
  if (current_ != nullptr) {
    drop_reference(current_);
  }
  for (Chunk* chunk : free_) {
    drop_reference(chunk);
  }
}

Slice OutputArena::append(std::string_view head, std::string_view body) {
  const Slice slice = reserve(head.size() + body.size());
  if (!head.empty()) {
    std::memcpy(slice.data(), head.data(), head.size());
  }
  if (!body.empty()) {
    std::memcpy(slice.data() + head.size(), body.data(), body.size());
  }
  return slice;
}

KeptSlice OutputArena::keep(Slice slice) {
  if (slice.size() * 2 >= slice.chunk->capacity) {
    add_reference(slice.chunk);
    return KeptSlice(slice);
  }
  const auto [known, is_new] = copies_.try_emplace(slice);
  Slice& copy = known->second;
  if (is_new) {
    Chunk* chunk = make_chunk(slice.size());
    std::memcpy(chunk->data(), slice.bytes().data(), slice.size());
    chunk->used = static_cast<std::uint32_t>(slice.size());
    copy = {.chunk = chunk, .begin = 0, .end = chunk->used};
  }
  add_reference(copy.chunk);
  return KeptSlice(copy);
}

void OutputArena::end_turn() {
  if (!copies_.empty()) [[unlikely]] {
    for (const auto& [slice, copy] : copies_) {
      drop_reference(copy.chunk);
    }
    copies_.clear();
  }
  for (Chunk* chunk : full_) {
    if (chunk->references == 1 && chunk->capacity == chunk_bytes_ && free_.size() < kFreeChunks) {
      free_.push_back(chunk);
    } else {
      drop_reference(chunk);
    }
  }
  full_.clear();
  if (current_ == nullptr) {
    return;
  }
  if (current_->references > 1 || current_->capacity > chunk_bytes_) {
    drop_reference(current_);
    current_ = nullptr;
  } else {
    current_->used = 0;
  }
}

void OutputArena::next_chunk(std::size_t bytes) {
  if (current_ != nullptr) {
    full_.push_back(current_);
  }
  if (bytes <= chunk_bytes_ && !free_.empty()) {
    current_ = free_.back();
    current_->used = 0;
    free_.pop_back();
  } else {
    current_ = make_chunk(bytes > chunk_bytes_ ? bytes : chunk_bytes_);
  }
}

}  // namespace jamsocket
