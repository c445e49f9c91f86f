// base/reused_list.hpp
//
// A list that is filled and emptied many times a second, of plain values.
//
// std::vector's push_back brings the code that makes room into each place that adds something, and those save
// registers for it each time. Here that stands apart: adding is a comparison and the copy.

#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace jamsocket {

template <class T>
class ReusedList {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  ReusedList() = default;
  ReusedList(ReusedList&& other) noexcept
      : slots_(std::exchange(other.slots_, {})),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  ReusedList& operator=(ReusedList&& other) noexcept {
    slots_ = std::exchange(other.slots_, {});
    capacity_ = std::exchange(other.capacity_, 0);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ReusedList(const ReusedList&) = delete;
  ReusedList& operator=(const ReusedList&) = delete;
  ~ReusedList() = default;

  T& push_back(const T& item) {
    if (size_ == capacity_) [[unlikely]] {
      grow();
    }
    T& slot = slots_.data()[size_++];
    slot = item;
    return slot;
  }
  void clear() { size_ = 0; }
  /// Gives back what is not used.
  void shrink_to_fit() {
    slots_.resize(size_);
    slots_.shrink_to_fit();
    capacity_ = size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] T* begin() { return slots_.data(); }
  [[nodiscard]] T* end() { return slots_.data() + size_; }
  [[nodiscard]] const T* begin() const { return slots_.data(); }
  [[nodiscard]] const T* end() const { return slots_.data() + size_; }
  [[nodiscard]] const T& operator[](std::size_t index) const {
    JAM_CHECK(index < size_);
    return slots_.data()[index];
  }

 private:
  [[gnu::noinline]] void grow() {
    capacity_ = std::max<std::size_t>(1, 2 * capacity_);
    slots_.resize(capacity_);
  }

  std::vector<T> slots_;      ///< The first `size_` are in use.
  std::size_t capacity_ = 0;  ///< `slots_.size()`, which divides.
  std::size_t size_ = 0;
};

}  // namespace jamsocket
