// store/page_checks.hpp
//
// What is done between SQLite and the system: a checksum in every page of a database file, space made ahead for its
// write-ahead log, and few large writes instead of many small ones.
//
// SQLite keeps none: a flipped bit in an index makes a room one that never was, and in the log's tree rows that
// never were. Each page's last four bytes are the CRC-32 of the rest and of the page's number; a page that does
// not fit is not read (SQLITE_IOERR_DATA). The write-ahead log has checksums of its own.
// But where it grows, each sync has the file's new size to keep besides its bytes, which costs about as much again
// (ext4: 230 us instead of 140): so it grows by many zeros at a time.
// SQLite writes a page to the log in two pieces, which touch three pages of the system's: gathered until the next sync,
// or until something else is done with the file, writing takes half the processor time.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "store/sqlite.hpp"

namespace jamsocket::store {

class PageChecks {
 public:
  /// Known to SQLite under a name of its own from here to its end; must outlive the connections.
  /// @param under            the VFS below; empty: the default one.
  /// @param log_bytes_ahead  by which a write-ahead log grows.
  explicit PageChecks(const std::string& under, std::size_t log_bytes_ahead = 0);
  ~PageChecks();
  PageChecks(const PageChecks&) = delete;
  PageChecks& operator=(const PageChecks&) = delete;

  [[nodiscard]] const std::string& vfs_name() const { return name_; }
  /// New files get room for checksums. Before anything is written.
  [[nodiscard]] static Result<void> prepare(const Connection& connection, const char* schema = "main");
  /// A file that was made without is written anew.
  [[nodiscard]] static Result<void> bring_up(const Connection& connection);
  /// Reads everything. Where the trees are in order for all that, damaged pages are read from here on, until they are
  /// written: the checksums of what lies in them say what is wrong, and the rest can go on.
  /// @param table  of which alone; empty: of all.
  /// @error Malformed  they are not.
  [[nodiscard]] Result<void> forgive_where_sound(const Connection& connection, std::string_view table = {});

  /// Whether a page was read that is damaged, and not forgiven.
  [[nodiscard]] bool has_refused() const;

  struct Vfs;

 private:
  std::string name_;
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace jamsocket::store
