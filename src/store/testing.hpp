// store/testing.hpp
//
// For tests: a folder that goes away again, and batches in a line.

#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "store/types.hpp"

namespace jamsocket::store::testing {

/// In memory where there is room: thousands of syncs of a busy disk would take minutes, and what they are worth is not
/// for these tests to say. TMPDIR says otherwise.
inline std::filesystem::path parent_of_temporary_folders() {
  constexpr std::uintmax_t kNeededBytes = std::uintmax_t{256} << 20U;
  const std::filesystem::path memory = "/dev/shm";
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(memory, error);
  const bool fits = !error && space.available >= kNeededBytes && ::access(memory.c_str(), W_OK) == 0;
  return fits && std::getenv("TMPDIR") == nullptr ? memory : std::filesystem::temp_directory_path();
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (parent_of_temporary_folders() / "jamsocket-store-XXXXXX").string();
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
