// base/output.hpp
//
// Bytes on their way out: encoded once into an arena, then referred to by every client they go to.
//
// During a turn of the loop frames are appended one behind the other to the arena's current chunk.
// A client remembers only a slice of it, and a frame that lies right behind its last slice makes
// that slice longer: so the usual client needs one pointer, two numbers and one send() a turn.
// Only when a send came up short does a client hold on to bytes beyond the turn (`keep`).
//
// Thread: a shard's. Reference counts are plain integers.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jamsocket {

enum class MessageKind : std::uint8_t { Text, Binary };

/// A block of bytes with a reference count. Made by OutputArena only.
struct Chunk {
  std::uint32_t references = 0;
  std::uint32_t used = 0;
  std::uint32_t capacity = 0;

  [[nodiscard]] char* data() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] const char* data() const { return reinterpret_cast<const char*>(this + 1); }
};

/// Some whole messages inside a chunk. A plain value that owns nothing: valid until the arena's
/// `end_turn`, unless its chunk is kept alive by a KeptSlice. Two words: it travels in registers.
struct Slice {
  Chunk* chunk = nullptr;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const Slice&) const = default;
  [[nodiscard]] std::size_t size() const { return end - begin; }
  [[nodiscard]] char* data() const { return chunk->data() + begin; }
  [[nodiscard]] std::string_view bytes() const { return {data(), size()}; }
  /// Makes this slice longer by `next`, if it lies right behind.
  [[nodiscard]] bool extend(Slice next) {
    if (chunk != next.chunk || end != next.begin) {
      return false;
    }
    end = next.end;
    return true;
  }
};

/// A slice that holds a reference on its chunk.
class KeptSlice {
 public:
  /// Adopts a reference that was counted already.
  explicit KeptSlice(Slice counted) : slice_(counted) {}
  KeptSlice(KeptSlice&& other) noexcept : slice_(other.slice_) { other.slice_ = {}; }
  KeptSlice& operator=(KeptSlice&& other) noexcept;
  KeptSlice(const KeptSlice&) = delete;
  KeptSlice& operator=(const KeptSlice&) = delete;
  ~KeptSlice();

  [[nodiscard]] const Slice& slice() const { return slice_; }

 private:
  Slice slice_;
};

class OutputArena {
 public:
  /// How a message is written into an arena: whole, as it goes on the wire.
  using WriteMessage = Slice (*)(OutputArena& arena, MessageKind kind, std::string_view payload);

  /// The payload alone, for those that have no wire.
  static Slice bare(OutputArena& arena, MessageKind kind, std::string_view payload);

  explicit OutputArena(WriteMessage writer = bare, std::size_t chunk_bytes = std::size_t{64} << 10U);
  ~OutputArena();
  OutputArena(const OutputArena&) = delete;
  OutputArena& operator=(const OutputArena&) = delete;

  /// Room for a message of `bytes` bytes, which the caller fills in before it goes on.
  [[nodiscard]] Slice reserve(std::size_t bytes) {
    if (current_ == nullptr || bytes > current_->capacity - current_->used) [[unlikely]] {
      next_chunk(bytes);
    }
    const std::uint32_t begin = current_->used;
    current_->used += static_cast<std::uint32_t>(bytes);
    return {.chunk = current_, .begin = begin, .end = current_->used};
  }
  /// The message as it goes on the wire, its payload last.
  [[nodiscard]] Slice append_message(MessageKind kind, std::string_view payload) {
    return writer_(*this, kind, payload);
  }
  /// Nobody needs the slice: if it is the last one, its room is used again.
  void give_back(Slice slice) {
    if (slice.chunk == current_ && slice.end == current_->used) {
      current_->used = slice.begin;
    }
  }
  /// Copies `head` and `body`, one behind the other, as one message.
  [[nodiscard]] Slice append(std::string_view head, std::string_view body);

  /// Holds on to `slice` beyond the turn. A slice that is a small part of its chunk is copied out,
  /// once for all clients that keep the same one, so that a slow client never pins what is not its own.
  [[nodiscard]] KeptSlice keep(Slice slice);

  /// Every Slice that is not kept is invalid from here on.
  void end_turn();

 private:
  void next_chunk(std::size_t bytes);

  WriteMessage writer_;
  std::size_t chunk_bytes_;
  Chunk* current_ = nullptr;
  std::vector<Chunk*> full_;  ///< Of this turn, besides the current one.
  std::vector<Chunk*> free_;  ///< To be used again: giving memory back each turn costs its page faults.
  struct HashOfSlice {
    std::size_t operator()(const Slice& slice) const {
      return std::hash<const void*>()(slice.chunk->data() + slice.begin) ^ slice.end;
    }
  };
  /// What was copied out in this turn, for the next client that keeps the same: each client of a room keeps as many
  /// slices as the turn had messages with something between them. A copy holds a reference until the turn ends.
  std::unordered_map<Slice, Slice, HashOfSlice> copies_;
};

}  // namespace jamsocket
