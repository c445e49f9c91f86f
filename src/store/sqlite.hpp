// store/sqlite.hpp
//
// SQLite's C interface with owners and Results. Nothing here knows rooms.

#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace jamsocket::store {

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Parameters count from 1. Bytes must stay where they are until `reset`.
  void bind(int index, std::int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }
  void bind(int index, std::uint64_t value) { bind(index, static_cast<std::int64_t>(value)); }
  void bind_text(int index, std::string_view text);
  void bind_blob(int index, std::string_view bytes);

  /// @return whether there is a row. @error Io, Malformed
  [[nodiscard]] Result<bool> step();
  /// Runs to the end, rows ignored, and resets.
  [[nodiscard]] Result<void> run();
  void reset();

  // Columns count from 0. Views are valid until the next step or reset.
  [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  [[nodiscard]] std::uint64_t number(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  [[nodiscard]] std::string_view blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Connection {
 public:
  enum class Mode : std::uint8_t { ReadWrite, ReadOnly };
  /// @param vfs  the name of a SQLite VFS; empty: the default one.
  /// @error Io  with the file's name and the system's words.
  [[nodiscard]] static Result<Connection> open(const std::string& path, Mode mode, const std::string& vfs = {});

  [[nodiscard]] Result<Statement> prepare(std::string_view sql) const;
  [[nodiscard]] Result<void> execute(const std::string& sql) const;
  /// The first column of the first row; 0 when there is none.
  [[nodiscard]] Result<std::int64_t> ask(const std::string& sql) const;
  /// One blob, appended to `out`, without the copy that a column's value is.
  /// @param row  its rowid.
  /// @error Malformed, Io  also where there is none.
  [[nodiscard]] Result<void> read_blob(const char* table, const char* column, std::int64_t row, std::string& out) const;
  [[nodiscard]] sqlite3* raw() const { return connection_.get(); }
  /// What SQLite has to say of `code`, which a call answered.
  [[nodiscard]] std::unexpected<Error> error_of(int code) const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Connection(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

/// Begins a transaction that is rolled back unless `commit` was called and went well.
class Transaction {
 public:
  explicit Transaction(const Connection& connection) : connection_(connection) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Result<void> commit();

 private:
  const Connection& connection_;
  bool open_ = false;
};

}  // namespace jamsocket::store
