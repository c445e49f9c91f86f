// base/system.hpp
//
// What every folder that asks the operating system for something needs.

#pragma once

#include <string>

namespace jamsocket {

/// "No such file or directory": what an `errno` means. Any thread.
[[nodiscard]] std::string words_of(int error);

/// A write beyond the greatest size that files may have (RLIMIT_FSIZE) fails, as one on a full disk does, instead of
/// ending the process. Call before any other thread starts.
void outlive_file_size_limit();

/// An open file of this process, closed at the end of its scope.
class Descriptor {
 public:
  /// @param descriptor  what a system call returned; below 0: it failed, and nothing is closed.
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

}  // namespace jamsocket
