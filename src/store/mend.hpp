// store/mend.hpp
//
// A damaged page concerns what lies in it. But some pages lead to everything else, or are written whatever room has
// something to write: those of the indexes, the counters, the modules, the last of each table. From what the tables say
// a new file can be made that has none of the damage.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.hpp"
#include "store/page_checks.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

/// What lay in trees that are damaged.
struct Losses {
  bool log = false;               ///< All rooms are set aside: which had events in it cannot be told.
  std::uint64_t rooms = 0;        ///< That are set aside: only their names are known.
  std::uint64_t checkpoints = 0;  ///< Rooms that are set aside, as theirs may be among them.
  bool modules = false;
  bool history = false;

  /// For people.
  [[nodiscard]] std::string text() const;
};

/// What is known of the file.
struct BeforeMending {
  /// The log was lost once: where the counters say no longer which rooms are older for that, all are set aside.
  bool may_be_doubtful = false;
  /// It has a row that says in no way whose its events are: it is lost as a whole.
  bool log_is_unclear = false;
};

/// An empty file that only its owner may read: rooms are their users' data. @return false: errno says why.
[[nodiscard]] bool make_private_file(const std::filesystem::path& file);

/// Copies the tables of `connection` into `file`, which is made anew; indexes are not read. Damaged pages of a table
/// are read where its tree is in order for all that: what lies in them has checksums of its own, and stays as it is. Of
/// the counters, which have none, other tables say the values, at the worst smaller ones: more of the log is read at
/// the next start. Reads and writes everything.
/// @error Malformed  the table of rooms is damaged, and its index too.
[[nodiscard]] Result<Losses> copy_mended(const Connection& connection, PageChecks& page_checks,
                                         const std::filesystem::path& file, const BeforeMending& before);

/// Puts `mended` where `file` is, which is kept as `damaged`. Nobody may have either open. A crash leaves the one or
/// the other.
[[nodiscard]] Result<void> take_its_place(const std::filesystem::path& mended, const std::filesystem::path& file,
                                          const std::filesystem::path& damaged);

}  // namespace jamsocket::store
