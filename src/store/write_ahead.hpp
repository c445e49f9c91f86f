// store/write_ahead.hpp
//
// SQLite's write-ahead log, watched: how far it goes, when it is worked into the database file, and whether
// what was once known to be in it still is.
//
// SQLite takes a damaged frame for a write that a crash cut off, and the log for ended there: rooms would be
// older than what clients saw, and nobody would know. And where it works the log into the file by itself,
// it says nothing of a sync that failed. Both are this class's to notice.

#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "store/lock_file.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

class WriteAhead {
 public:
  WriteAhead(const Connection& connection, LockFile& lock) : connection_(connection), lock_(lock) {}
  WriteAhead(const WriteAhead&) = delete;
  WriteAhead& operator=(const WriteAhead&) = delete;

  /// Before anything is written: compares the log with the mark, and watches from here on.
  /// @error Malformed  frames that were on disk are gone or damaged.
  [[nodiscard]] Result<void> attach();
  /// After a commit: marks it, and works the log into the file where it has grown beyond `frames_max`.
  [[nodiscard]] Result<void> committed(std::uint64_t frames_max);
  /// All of it is in the database file from here on, and nothing is marked. Not where something failed before: a sync
  /// that failed once may claim to have gone well the next time.
  [[nodiscard]] Result<void> work_in();
  /// Something could not be written: the files stay as they are, for the next process to read.
  void distrust();

 private:
  [[nodiscard]] Result<std::uint64_t> checkpoint();

  const Connection& connection_;
  LockFile& lock_;
  LogMark mark_;
  std::uint64_t frames_ = 0;    ///< In the log as of the last commit.
  bool may_begin_anew_ = true;  ///< With another salt, as it does behind a checkpoint.
  bool is_trusted_ = false;
};

}  // namespace jamsocket::store
