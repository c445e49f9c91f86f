#include "store/sqlite.hpp"

#include <fmt/format.h>

#include <tuple>
#include <utility>

namespace jamsocket::store {
namespace {

std::unexpected<Error> failure(sqlite3* connection, int code) {
  const int kind = code & 0xFF;
  // IOERR_DATA: a page whose checksum does not fit.
  const bool damaged =
      kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_FORMAT || code == SQLITE_IOERR_DATA;
  std::string words = connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  if (code == SQLITE_IOERR_DATA ||
      (connection != nullptr && sqlite3_extended_errcode(connection) == SQLITE_IOERR_DATA)) {
    words = "a page of the file is damaged: its checksum does not fit";
  } else if (connection != nullptr && kind == SQLITE_IOERR) {
    words = fmt::format("{} (code {}, errno {})", words, sqlite3_extended_errcode(connection),
                        sqlite3_system_errno(connection));
  }
  return fail(damaged ? ErrorCode::Malformed : ErrorCode::Io, std::move(words));
}

}  // namespace

// A null pointer would bind NULL, which an empty text or blob is not.
void Statement::bind_text(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data() != nullptr ? text.data() : "", text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::bind_blob(int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), index, bytes.data() != nullptr ? bytes.data() : "", bytes.size(),
                      SQLITE_STATIC);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  sqlite3* const connection = sqlite3_db_handle(statement_.get());
  auto error = failure(connection, code);
  reset();
  return error;
}

Result<void> Statement::run() {
  while (JAM_TRY(step())) {
  }
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::string_view Statement::blob(int column) const {
  const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto length = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes != nullptr ? std::string_view(bytes, length) : std::string_view();
}

Result<Connection> Connection::open(const std::string& path, Mode mode, const std::string& vfs) {
  // One thread at a time uses a connection: SQLite's own locks are not needed.
  const int flags = SQLITE_OPEN_NOMUTEX |
                    (mode == Mode::ReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  Connection connection(raw);
  if (code != SQLITE_OK) {
    return failure(raw, code);
  }
  sqlite3_extended_result_codes(raw, 1);
  return connection;
}

Result<void> Connection::read_blob(const char* table, const char* column, std::int64_t row, std::string& out) const {
  constexpr int kToRead = 0;
  sqlite3_blob* raw = nullptr;
  int code = sqlite3_blob_open(connection_.get(), "main", table, column, row, kToRead, &raw);
  const auto close = [](sqlite3_blob* blob) { sqlite3_blob_close(blob); };
  const std::unique_ptr<sqlite3_blob, decltype(close)> blob(raw, close);
  if (code == SQLITE_ERROR) {
    return fail(ErrorCode::Malformed, sqlite3_errmsg(connection_.get()));  // No such row, or no blob in it.
  }
  if (code != SQLITE_OK) {
    return failure(connection_.get(), code);
  }
  const auto length = static_cast<std::size_t>(sqlite3_blob_bytes(blob.get()));
  const std::size_t begin = out.size();
  out.resize_and_overwrite(begin + length, [&](char* bytes, std::size_t) {
    code = sqlite3_blob_read(blob.get(), bytes + begin, static_cast<int>(length), 0);
    return code == SQLITE_OK ? begin + length : begin;
  });
  if (code != SQLITE_OK) {
    return failure(connection_.get(), code);
  }
  return {};
}

std::unexpected<Error> Connection::error_of(int code) const { return failure(connection_.get(), code); }

Result<Statement> Connection::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    return failure(connection_.get(), code);
  }
  return Statement(statement);
}

Result<void> Connection::execute(const std::string& sql) const {
  const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) {
    return failure(connection_.get(), code);
  }
  return {};
}

Result<std::int64_t> Connection::ask(const std::string& sql) const {
  Statement statement = JAM_TRY(prepare(sql));
  return JAM_TRY(statement.step()) ? statement.integer(0) : 0;
}

Transaction::~Transaction() {
  if (open_) {
    std::ignore = connection_.execute("ROLLBACK");  // A second error would say less than the first one.
  }
}

Result<void> Transaction::begin() {
  JAM_TRY_VOID(connection_.execute("BEGIN IMMEDIATE"));
  open_ = true;
  return {};
}

Result<void> Transaction::commit() {
  JAM_TRY_VOID(connection_.execute("COMMIT"));
  open_ = false;
  return {};
}

}  // namespace jamsocket::store
