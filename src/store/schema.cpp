#include "store/schema.hpp"

#include <fmt/format.h>

#include <array>

namespace jamsocket::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4A414D53;  // "JAMS"

// The n-th makes format n of format n - 1; the first, of an empty file. Never changed once released.
constexpr std::array<const char*, kFormatVersion> kSteps{
    R"(
CREATE TABLE room(key INTEGER PRIMARY KEY, service BLOB NOT NULL, id BLOB NOT NULL, birth BLOB NOT NULL,
                  crc INTEGER NOT NULL, timer_ms INTEGER NOT NULL DEFAULT 0, UNIQUE(service, id));
CREATE INDEX room_timer ON room(timer_ms) WHERE timer_ms > 0;
CREATE TABLE checkpoint(room INTEGER PRIMARY KEY, number INTEGER NOT NULL, timer_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE log(sequence INTEGER PRIMARY KEY, directory BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE module(hash TEXT PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counter VALUES('next_key', 1);
)",
    R"(
CREATE TABLE old_checkpoint(id INTEGER PRIMARY KEY, room INTEGER NOT NULL, number INTEGER NOT NULL,
                            timer_ms INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE(room, number));
CREATE TABLE milestone(sequence INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL);
INSERT INTO counter VALUES('history_floor', 0), ('history_bytes', 0);
)"};

}  // namespace

Result<std::int64_t> format_of(const Connection& connection) {
  const std::int64_t application = JAM_TRY(connection.ask("PRAGMA application_id"));
  const std::int64_t version = JAM_TRY(connection.ask("PRAGMA user_version"));
  const bool is_new = JAM_TRY(connection.ask("SELECT count(*) FROM sqlite_schema")) == 0;
  if (!is_new && application != kApplicationId) {
    return fail(ErrorCode::Unsupported, "this is a SQLite file of another program");
  }
  if (!is_new && version > kFormatVersion) {
    return fail(ErrorCode::Unsupported,
                fmt::format("a newer version of Jamsocket wrote it (format {}; this one reads up to {})", version,
                            kFormatVersion));
  }
  if (!is_new && version < 1) {
    return fail(ErrorCode::Malformed, fmt::format("its format is {}, which there never was", version));
  }
  return is_new ? 0 : version;
}

Result<void> bring_up(const Connection& connection, std::int64_t from) {
  if (from == kFormatVersion) {
    return {};
  }
  Transaction transaction(connection);
  JAM_TRY_VOID(transaction.begin());
  for (std::int64_t step = from; step < kFormatVersion; ++step) {
    JAM_TRY_VOID(connection.execute(kSteps[static_cast<std::size_t>(step)]));
  }
  JAM_TRY_VOID(connection.execute(fmt::format("PRAGMA application_id={}", kApplicationId)));
  JAM_TRY_VOID(connection.execute(fmt::format("PRAGMA user_version={}", kFormatVersion)));
  return transaction.commit();
}

}  // namespace jamsocket::store
