// server/memory_watch.hpp
//
// How much memory the process has, against the two marks above which it sheds load.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "server/settings.hpp"

namespace jamsocket::server {

class MemoryWatch {
 public:
  enum class Level : std::uint8_t {
    Calm,
    High,      ///< New connections are refused.
    Critical,  ///< And the clients that read slowest are closed.
  };

  /// @param resident_bytes  asks the system; 0: it does not say.
  MemoryWatch(const MemoryMarks& marks, std::function<std::uint64_t()> resident_bytes)
      : marks_(marks), resident_bytes_(std::move(resident_bytes)) {}

  [[nodiscard]] bool is_on() const { return marks_.are_set(); }
  /// As of the last look. Any thread.
  [[nodiscard]] Level level() const { return level_.load(std::memory_order_relaxed); }
  /// Looks again. One thread.
  Level look() {
    const std::uint64_t bytes = resident_bytes_();
    const Level before = level();
    Level now = Level::Calm;
    if (is_above(bytes, marks_.critical_bytes, before == Level::Critical)) {
      now = Level::Critical;
    } else if (is_above(bytes, marks_.high_bytes, before != Level::Calm)) {
      now = Level::High;
    }
    level_.store(now, std::memory_order_relaxed);
    return now;
  }

 private:
  // What was above a mark is so until it is clearly below: no wavering at the edge.
  static bool is_above(std::uint64_t bytes, std::uint64_t mark, bool was_above) {
    return mark != 0 && bytes >= (was_above ? mark - mark / 20 : mark);
  }

  MemoryMarks marks_;
  std::function<std::uint64_t()> resident_bytes_;
  std::atomic<Level> level_{Level::Calm};
};

}  // namespace jamsocket::server
