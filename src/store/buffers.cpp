#include "store/buffers.hpp"

#include <algorithm>
#include <utility>

namespace jamsocket::store {

std::string Buffers::take(std::size_t bytes) {
  std::string taken;
  {
    const std::scoped_lock lock(mutex_);
    auto best = kept_.end();
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
      const bool fits = each->capacity() >= bytes;
      if (fits && (best == kept_.end() || each->capacity() < best->capacity())) {
        best = each;
      }
    }
    if (best != kept_.end()) {
      taken = std::move(*best);
      kept_.erase(best);
    }
  }
  taken.clear();
  taken.reserve(bytes);
  return taken;
}

// Where there are enough, the smallest makes way.
void Buffers::give_back(std::string spent) {
  if (spent.capacity() > kKeptBytesMax) {
    return;
  }
  const std::scoped_lock lock(mutex_);
  kept_.push_back(std::move(spent));
  if (kept_.size() > kKept) {
    kept_.erase(std::ranges::min_element(kept_, {}, &std::string::capacity));
  }
}

}  // namespace jamsocket::store
