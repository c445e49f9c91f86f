// load/histogram.hpp
//
// Log-linear histogram: 64 linear steps in each power of two, so that a percentile is off by less than 1.6 %.

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace jamsocket::bench {

class Histogram {
 public:
  Histogram() : counts_(std::size_t{64} * 64) {}

  void add(std::uint64_t value) {
    ++counts_[index_of(value)];
    ++total_;
    max_ = std::max(max_, value);
  }

  [[nodiscard]] std::uint64_t max() const { return max_; }

  /// @param percent  0 to 100.
  /// @return the value that so many per cent of what was added do not exceed; 0 while nothing was added.
  [[nodiscard]] std::uint64_t percentile(double percent) const {
    const auto wanted = std::max(1LL, std::llround(percent / 100.0 * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (std::cmp_greater_equal(seen, wanted)) {
        return std::min(upper_bound_of(i), max_);
      }
    }
    return max_;
  }

 private:
  static std::size_t index_of(std::uint64_t value) {
    if (value < 64) {
      return value;
    }
    const auto shift = static_cast<std::size_t>(63 - std::countl_zero(value) - 6);  // value >> shift is in [64, 128)
    return (shift + 1) * 64 + ((value >> shift) - 64);
  }

  static std::uint64_t upper_bound_of(std::size_t index) {
    if (index < 64) {
      return index;
    }
    const std::size_t shift = index / 64 - 1;
    return ((index % 64 + 65) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace jamsocket::bench
