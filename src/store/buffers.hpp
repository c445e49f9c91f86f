// store/buffers.hpp
//
// Memory for the bytes of checkpoints, kept between one that is read and the next: memory that is new to the process
// costs more than what is done with it, a page at a time.
//
// Thread-safe: what a database gave out comes back from the shards.

#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace jamsocket::store {

class Buffers {
 public:
  /// Of this size at most is what is kept; a larger one goes back to the heap.
  static constexpr std::size_t kKeptBytesMax = std::size_t{2} << 20U;
  /// So many are kept: two that rooms wake from, and one to read into.
  static constexpr std::size_t kKept = 3;

  /// An empty string with a capacity of at least `bytes`: the one that fits best, or a new one.
  [[nodiscard]] std::string take(std::size_t bytes);
  /// Its bytes are no longer needed.
  void give_back(std::string spent);

 private:
  std::mutex mutex_;
  std::vector<std::string> kept_;
};

}  // namespace jamsocket::store
