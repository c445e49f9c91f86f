#include "store/mend.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/system.hpp"

namespace jamsocket::store {
namespace {

// The name under which the new file is attached.
constexpr const char* kMended = "mended";

bool is_damage(const Result<void>& done) { return !done && done.error().code == ErrorCode::Malformed; }

// The statements that made what is there: of `type`, "table" or "index", but those that a table brings with it.
Result<std::vector<std::string>> schema_of(const Connection& connection, std::string_view type) {
  std::vector<std::string> found;
  Statement rows = JAM_TRY(connection.prepare(
      "SELECT sql FROM main.sqlite_schema WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"));
  rows.bind_text(1, type);
  while (JAM_TRY(rows.step())) {
    found.emplace_back(rows.blob(0));
  }
  return found;
}

Result<void> make_all(const Connection& connection, std::string_view type) {
  const std::string begin = type == "table" ? "CREATE TABLE " : "CREATE INDEX ";
  for (const std::string& sql : JAM_TRY(schema_of(connection, type))) {
    if (!sql.starts_with(begin)) {
      return fail(ErrorCode::Malformed, "its schema is damaged");
    }
    JAM_TRY_VOID(connection.execute(fmt::format("{}{}.{}", begin, kMended, sql.substr(begin.size()))));
  }
  return {};
}

Result<void> copy_rows(const Connection& connection, std::string_view table) {
  // The condition keeps SQLite from copying the table's index page by page as well.
  return connection.execute(
      fmt::format("INSERT INTO {0}.{1} SELECT * FROM main.{1} NOT INDEXED WHERE true", kMended, table));
}

Result<void> copy_table(const Connection& connection, PageChecks& page_checks, std::string_view table) {
  auto copied = copy_rows(connection, table);
  if (is_damage(copied)) {
    JAM_TRY_VOID(page_checks.forgive_where_sound(connection, table));
    copied = copy_rows(connection, table);
  }
  return copied;
}

struct Named {
  std::uint64_t key = 0;
  std::string service;
  std::string id;
  bool is_sound = true;
};

// Which rooms there are the index says, too. Those of a part of the tree that cannot be read are damaged from here on.
Result<std::uint64_t> copy_rooms_one_by_one(const Connection& connection) {
  std::vector<Named> rooms;
  {
    Statement names = JAM_TRY(connection.prepare(
        "SELECT key, service, id FROM main.room INDEXED BY sqlite_autoindex_room_1 WHERE service >= x''"));
    while (JAM_TRY(names.step())) {
      rooms.push_back(
          {.key = names.number(0), .service = std::string(names.blob(1)), .id = std::string(names.blob(2))});
    }
  }
  const std::string where = "FROM main.room NOT INDEXED WHERE key = ?1 AND service = ?2 AND id = ?3";
  const auto bind = [](Statement& statement, const Named& room) {
    statement.bind(1, room.key);
    statement.bind_blob(2, room.service);
    statement.bind_blob(3, room.id);
  };
  // First: an error while something is written takes that back.
  Statement find = JAM_TRY(connection.prepare("SELECT length(birth) " + where));
  std::uint64_t damaged = 0;
  for (Named& room : rooms) {
    bind(find, room);
    room.is_sound = find.step().value_or(false);
    damaged += room.is_sound ? 0U : 1U;
    find.reset();
  }
  Transaction transaction(connection);
  JAM_TRY_VOID(transaction.begin());
  Statement copy = JAM_TRY(connection.prepare(fmt::format("INSERT INTO {}.room SELECT * {}", kMended, where)));
  // No checksum is -1.
  Statement damage =
      JAM_TRY(connection.prepare(fmt::format("INSERT INTO {}.room VALUES(?1, ?2, ?3, x'', -1, 0)", kMended)));
  for (const Named& room : rooms) {
    Statement& put = room.is_sound ? copy : damage;
    bind(put, room);
    JAM_TRY_VOID(put.run());
  }
  JAM_TRY_VOID(transaction.commit());
  return damaged;
}

Result<void> copy_rooms(const Connection& connection, PageChecks& page_checks, Losses& losses) {
  const auto copied = copy_table(connection, page_checks, "room");
  if (is_damage(copied)) {
    losses.rooms = JAM_TRY(copy_rooms_one_by_one(connection));
    return {};
  }
  return copied;
}

// Those of a part of the tree that cannot be read are damaged from here on, each for its room.
Result<std::uint64_t> copy_checkpoints_one_by_one(const Connection& connection) {
  std::vector<std::pair<std::uint64_t, bool>> keys;  // And whether what is there of it can be read.
  {
    Statement rooms = JAM_TRY(connection.prepare(fmt::format("SELECT key FROM {}.room", kMended)));
    while (JAM_TRY(rooms.step())) {
      keys.emplace_back(rooms.number(0), true);
    }
  }
  // First: an error while something is written takes that back.
  Statement find = JAM_TRY(connection.prepare("SELECT length(body) FROM main.checkpoint WHERE room = ?"));
  std::uint64_t damaged = 0;
  for (auto& [key, is_sound] : keys) {
    find.bind(1, key);
    is_sound = find.step().has_value();
    damaged += is_sound ? 0U : 1U;
    find.reset();
  }
  Transaction transaction(connection);
  JAM_TRY_VOID(transaction.begin());
  Statement copy = JAM_TRY(connection.prepare(
      fmt::format("INSERT INTO {}.checkpoint SELECT * FROM main.checkpoint WHERE room = ?", kMended)));
  Statement damage =
      JAM_TRY(connection.prepare(fmt::format("INSERT INTO {}.checkpoint VALUES(?, 0, 0, x'')", kMended)));
  for (const auto& [key, is_sound] : keys) {
    Statement& put = is_sound ? copy : damage;
    put.bind(1, key);
    JAM_TRY_VOID(put.run());
  }
  JAM_TRY_VOID(transaction.commit());
  return damaged;
}

Result<void> copy_checkpoints(const Connection& connection, PageChecks& page_checks, Losses& losses) {
  const auto copied = copy_table(connection, page_checks, "checkpoint");
  if (is_damage(copied)) {
    losses.checkpoints = JAM_TRY(copy_checkpoints_one_by_one(connection));
    return {};
  }
  return copied;
}

// @param is_lost  set where its tree is damaged: then it is empty.
Result<void> copy_or_lose(const Connection& connection, PageChecks& page_checks, std::string_view table,
                          bool& is_lost) {
  const auto copied = copy_table(connection, page_checks, table);
  is_lost = is_damage(copied);
  return is_lost ? Result<void>{} : copied;
}

Result<void> copy_counters(const Connection& connection, bool may_be_doubtful, const Losses& losses) {
  const std::string next_key = fmt::format("(SELECT coalesce(max(key), 0) + 1 FROM {}.room)", kMended);
  const auto copied = copy_rows(connection, "counter");
  if (!copied && !is_damage(copied)) {
    return copied;
  }
  if (!copied) {
    // That the copies can be read is sure.
    JAM_TRY_VOID(connection.execute(
        fmt::format("INSERT INTO {0}.counter VALUES('next_key', {1}), ('history_floor', 0), "
                    "('history_bytes', (SELECT coalesce(sum(length(body)), 0) FROM {0}.old_checkpoint))",
                    kMended, next_key)));
  }
  if (losses.log || (!copied && may_be_doubtful)) {
    JAM_TRY_VOID(connection.execute(fmt::format(
        "INSERT OR REPLACE INTO {0}.counter VALUES('doubtful_below', max({1}, (SELECT value FROM {0}.counter "
        "WHERE name = 'next_key')))",
        kMended, next_key)));
  }
  return {};
}

Result<Losses> copy_all(const Connection& connection, PageChecks& page_checks, const BeforeMending& before) {
  JAM_TRY_VOID(PageChecks::prepare(connection, kMended));
  // A crash leaves a file that nobody reads.
  JAM_TRY_VOID(connection.execute(fmt::format("PRAGMA {0}.journal_mode=MEMORY; PRAGMA {0}.synchronous=FULL", kMended)));
  for (const char* name : {"application_id", "user_version"}) {
    const std::int64_t value = JAM_TRY(connection.ask(fmt::format("PRAGMA main.{}", name)));
    JAM_TRY_VOID(connection.execute(fmt::format("PRAGMA {}.{}={}", kMended, name, value)));
  }
  Losses losses;
  JAM_TRY_VOID(make_all(connection, "table"));
  JAM_TRY_VOID(copy_rooms(connection, page_checks, losses));
  JAM_TRY_VOID(copy_checkpoints(connection, page_checks, losses));
  losses.log = before.log_is_unclear;
  if (!losses.log) {
    JAM_TRY_VOID(copy_or_lose(connection, page_checks, "log", losses.log));
  }
  JAM_TRY_VOID(copy_or_lose(connection, page_checks, "module", losses.modules));
  JAM_TRY_VOID(copy_or_lose(connection, page_checks, "old_checkpoint", losses.history));
  JAM_TRY_VOID(copy_counters(connection, before.may_be_doubtful, losses));
  // Without, history that is kept for a time is kept for longer.
  if (const auto copied = copy_rows(connection, "milestone"); !copied && !is_damage(copied)) {
    return std::unexpected(copied.error());
  }
  JAM_TRY_VOID(make_all(connection, "index"));
  return losses;
}

std::unexpected<Error> io_error(const std::filesystem::path& path, std::string_view what) {
  const int why = errno;
  return fail(ErrorCode::Io, fmt::format("{} cannot be {}: {}", path.string(), what, words_of(why)));
}

}  // namespace

bool make_private_file(const std::filesystem::path& file) {
  const int made = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  return made >= 0 && ::close(made) == 0;
}

std::string Losses::text() const {
  std::string text;
  const auto add = [&text](bool is_lost, std::string_view words) {
    text += is_lost ? fmt::format("{}{}", text.empty() ? "" : ", ", words) : "";
  };
  add(log, "the log, so that all rooms are set aside");
  add(rooms > 0, fmt::format("what {} rooms started from, so that these are set aside", rooms));
  add(checkpoints > 0, fmt::format("{} rooms' checkpoints, so that these are set aside", checkpoints));
  add(modules, "the code of rooms that other code than today's made");
  add(history, "history");
  return text.empty() ? "nothing" : text;
}

Result<Losses> copy_mended(const Connection& connection, PageChecks& page_checks, const std::filesystem::path& file,
                           const BeforeMending& before) {
  std::error_code error;
  std::filesystem::remove(file, error);  // Of a try that did not end.
  if (!make_private_file(file)) {
    return io_error(file, "made");
  }
  {
    Statement attach = JAM_TRY(connection.prepare(fmt::format("ATTACH ? AS {}", kMended)));
    attach.bind_text(1, file.native());
    JAM_TRY_VOID(attach.run());
  }
  const auto copied = copy_all(connection, page_checks, before);
  const auto detached = connection.execute(fmt::format("DETACH {}", kMended));
  if (!copied || !detached) {
    std::filesystem::remove(file, error);
  }
  return detached ? copied : std::unexpected(copied ? detached.error() : copied.error());
}

Result<void> take_its_place(const std::filesystem::path& mended, const std::filesystem::path& file,
                            const std::filesystem::path& damaged) {
  std::error_code error;
  std::filesystem::remove(damaged, error);
  if (::link(file.c_str(), damaged.c_str()) != 0) {
    return io_error(damaged, "made");
  }
  if (::rename(mended.c_str(), file.c_str()) != 0) {
    return io_error(mended, "renamed");
  }
  const int folder = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && ::fsync(folder) == 0;
  const auto done = synced ? Result<void>{} : io_error(file.parent_path(), "synced");
  ::close(folder);
  return done;
}

}  // namespace jamsocket::store
