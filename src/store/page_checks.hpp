// store/page_checks.hpp
//
// A checksum in every page of a database file, between SQLite and the system.
//
// SQLite keeps none: a flipped bit in an index makes a room one that never was, and in the log's tree rows that
// never were. Each page's last four bytes are the CRC-32 of the rest and of the page's number; a page that does
// not fit is not read (SQLITE_IOERR_DATA). The write-ahead log has checksums of its own.

#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

class PageChecks {
 public:
  /// Known to SQLite under a name of its own from here to its end; must outlive the connections.
  /// @param under  the VFS below; empty: the default one.
  explicit PageChecks(const std::string& under);
  ~PageChecks();
  PageChecks(const PageChecks&) = delete;
  PageChecks& operator=(const PageChecks&) = delete;

  [[nodiscard]] const std::string& vfs_name() const { return name_; }
  /// New files get room for checksums. Before anything is written.
  [[nodiscard]] static Result<void> prepare(const Connection& connection);
  /// A file that was made without is written anew.
  [[nodiscard]] static Result<void> bring_up(const Connection& connection);
  /// Reads everything. Where the trees are in order for all that, damaged pages are read from here on, until they are
  /// written: the checksums of what lies in them say what is wrong, and the rest can go on.
  /// @error Malformed  they are not.
  [[nodiscard]] Result<void> forgive_where_sound(const Connection& connection);

  struct Vfs;

 private:
  std::string name_;
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace jamsocket::store
