// store/lock_file.hpp
//
// The file that says whose a data directory is, and how far its write-ahead log is known to be on disk.
//
// The kernel lets go of the lock when the process ends, however it ends. The mark is written after each
// commit, and not synced: it may be older than the log, never newer.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/result.hpp"

namespace jamsocket::store {

enum class LogUse : std::uint64_t {
  Needed,
  WorkedIn,  ///< All of it is in the database file, and synced there.
};

/// So many frames of the write-ahead log that began with `salt` were synced. No frames: nothing is known.
struct LogMark {
  std::uint64_t salt = 0;
  std::uint64_t frames = 0;
  LogUse use = LogUse::Needed;
  friend bool operator==(const LogMark&, const LogMark&) = default;
};

class LockFile {
 public:
  /// @param wait  for another process to let go of it
  /// @error LimitReached  another process has it. @error Io
  [[nodiscard]] static Result<std::unique_ptr<LockFile>> take(const std::filesystem::path& directory,
                                                              std::chrono::milliseconds wait = {});
  explicit LockFile(int file) : file_(file) {}
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  /// Nothing where there is none, or what is there is not one.
  [[nodiscard]] std::optional<LogMark> mark() const;
  [[nodiscard]] Result<void> set_mark(const LogMark& mark);

 private:
  int file_;
};

}  // namespace jamsocket::store
