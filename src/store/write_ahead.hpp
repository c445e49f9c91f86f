// store/write_ahead.hpp
//
// SQLite's write-ahead log, watched: how far it goes, when it is worked into the database file, and whether
// what was once known to be in it still is.
//
// SQLite takes a damaged frame for a write that a crash cut off, and the log for ended there: rooms would be
// older than what clients saw, and nobody would know. Where the log had been worked into the file already, what is
// left of it in front of the damage would even cover newer pages by older ones. And where SQLite works the log in by
// itself, it says nothing of a sync that failed. All of this is this class's to notice.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "store/lock_file.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

class WriteAhead {
 public:
  WriteAhead(const Connection& connection, LockFile& lock) : connection_(connection), lock_(lock) {}
  WriteAhead(const WriteAhead&) = delete;
  WriteAhead& operator=(const WriteAhead&) = delete;

  /// Before the database is opened: removes a log of which nothing is needed, so that damage in it can do no harm.
  /// @param vfs   SQLite's name for what opens files.
  /// @param path  of the database file.
  [[nodiscard]] static Result<void> discard_worked_in(const std::string& vfs, const std::string& path,
                                                      const LockFile& lock);
  /// Before anything is written: compares the log with the mark, and watches from here on.
  /// @error Malformed  frames that were on disk are gone or damaged.
  [[nodiscard]] Result<void> attach();
  /// After a commit: marks it.
  [[nodiscard]] Result<void> committed();
  /// Works the log into the file where it has grown beyond `frames_max` since it was.
  [[nodiscard]] Result<void> keep_short(std::uint64_t frames_max);
  /// All of it is in the database file from here on, and marked as such. Not where something failed before: a sync
  /// that failed once may claim to have gone well the next time.
  [[nodiscard]] Result<void> work_in();
  /// Something could not be written: the files stay as they are, for the next process to read.
  void distrust();

 private:
  /// A log's frames, and how many of them are in the database file.
  struct WorkedIn {
    std::uint64_t frames = 0;
    std::uint64_t frames_in_file = 0;
  };
  [[nodiscard]] Result<WorkedIn> checkpoint();
  [[nodiscard]] Result<void> mark_worked_in(const WorkedIn& log);

  const Connection& connection_;
  LockFile& lock_;
  LogMark mark_;
  std::uint64_t frames_ = 0;    ///< In the log as of the last commit.
  bool may_begin_anew_ = true;  ///< With another salt, as it does behind a checkpoint.
  bool is_trusted_ = false;
};

}  // namespace jamsocket::store
