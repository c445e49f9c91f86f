// store/testing.hpp
//
// For tests: a folder that goes away again, and batches in a line.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "store/types.hpp"

namespace jamsocket::store::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "jamsocket-store-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline RoomName name(std::string_view id) { return {.service = "counter", .id = std::string(id)}; }

inline Batch created(std::uint64_t key, std::string_view id) {
  Batch batch;
  batch.created.push_back({.key = RoomKey{key}, .name = name(id), .birth = "born"});
  return batch;
}

/// Records `first` to `last`, each with its number as its bytes.
inline Batch records(std::uint64_t key, std::uint64_t first, std::uint64_t last, std::int64_t timer_ms = 0) {
  Batch batch;
  for (std::uint64_t number = first; number <= last; ++number) {
    batch.append(RoomKey{key}, number, timer_ms, std::to_string(number));
  }
  return batch;
}

}  // namespace jamsocket::store::testing
