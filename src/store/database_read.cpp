// Reading: rooms, their summaries, their past; and what is done to the file as a whole.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "store/database.hpp"

namespace jamsocket::store {
namespace {

// Without history.
Reach reach_of(const StoredRoom& room) {
  return {.earliest = room.checkpoint ? room.checkpoint->number : 0, .latest = last_event(room)};
}

}  // namespace

std::uint32_t Database::birth_checksum(const RoomName& name, std::string_view birth) {
  return checksum(fmt::format("{}\n{}\n{}", name.service.size(), name.service, name.id), birth);
}

Result<std::optional<Checkpoint>> Database::read_checkpoint(RoomKey key) {
  sql_.find_checkpoint.bind(1, static_cast<std::uint64_t>(key));
  if (!JAM_TRY(sql_.find_checkpoint.step())) {
    sql_.find_checkpoint.reset();
    return std::nullopt;
  }
  const PackedCheckpoint packed{
      .key = key,
      .checkpoint = {
          .number = sql_.find_checkpoint.number(0), .timer_ms = sql_.find_checkpoint.integer(1), .bytes = {}}};
  const auto length = static_cast<std::size_t>(sql_.find_checkpoint.number(2));
  sql_.find_checkpoint.reset();
  std::string bytes = buffers_->take(length);
  JAM_TRY_VOID(connection_.read_blob("checkpoint", "body", static_cast<std::int64_t>(key), bytes));
  Checkpoint checkpoint = JAM_TRY(unpacker_.unpack(packed, bytes, *buffers_));
  buffers_->give_back(std::move(bytes));
  return checkpoint;
}

Result<std::vector<Record>> Database::read_tail(RoomKey key, std::uint64_t after) {
  std::vector<Record> records;
  const auto tail = tails_.find(key);
  if (tail == tails_.end()) {
    return records;
  }
  for (const TailRow& place : tail->second.rows) {
    sql_.row_body.bind(1, place.sequence);
    if (!JAM_TRY(sql_.row_body.step())) {
      return fail(ErrorCode::Malformed, fmt::format("row {} of the log is gone", place.sequence));
    }
    RowReader reader(place.sequence, sql_.row_body.blob(0));
    RowRecord record;
    auto step = reader.next(record, key);
    for (; step == RowReader::Step::Record; step = reader.next(record, key)) {
      if (record.number > after) {
        records.push_back({.number = record.number, .timer_ms = record.timer_ms, .bytes = std::string(record.bytes)});
      }
    }
    sql_.row_body.reset();
    if (step != RowReader::Step::End) {
      return fail(ErrorCode::Malformed, fmt::format("an event in row {} of the log is damaged", place.sequence));
    }
  }
  std::ranges::sort(records, {}, &Record::number);
  std::uint64_t expected = after;
  for (const Record& record : records) {
    if (record.number != ++expected) {
      return fail(ErrorCode::Malformed,
                  fmt::format("event {} is missing: the one behind {} is {}", expected, expected - 1, record.number));
    }
  }
  if (expected != std::max(after, tail->second.last)) {
    return fail(ErrorCode::Malformed,
                fmt::format("the events behind {} are missing; the last one was {}", expected, tail->second.last));
  }
  return records;
}

Result<std::optional<StoredRoom>> Database::read(const RoomName& name, Extent extent, std::uint64_t history_bytes_max) {
  sql_.find.bind_blob(1, name.service);
  sql_.find.bind_blob(2, name.id);
  if (!JAM_TRY(sql_.find.step())) {
    sql_.find.reset();
    return std::nullopt;
  }
  StoredRoom room{.key = RoomKey{sql_.find.number(0)},
                  .name = name,
                  .birth = std::string(sql_.find.blob(1)),
                  .checkpoint = {},
                  .tail = {}};
  const std::uint64_t crc = sql_.find.number(2);
  sql_.find.reset();
  if (crc != birth_checksum(name, room.birth)) {
    return fail(ErrorCode::Malformed, "what it started from is damaged");
  }
  if (static_cast<std::uint64_t>(room.key) < doubtful_below_ && extent != Extent::Checkpoint) {
    return fail(ErrorCode::Malformed,
                "the log was damaged, and what is left of the room may be older than what was seen; 'jamsocket rooms "
                "accept' takes it for good");
  }
  room.checkpoint = JAM_TRY(read_checkpoint(room.key));
  if (extent == Extent::Checkpoint) {
    return room;
  }
  room.tail = JAM_TRY(read_tail(room.key, room.checkpoint ? room.checkpoint->number : 0));
  if (extent == Extent::Whole && room.checkpoint) {
    if (auto records = JAM_TRY(history_.read_whole(room.key, last_event(room), history_bytes_max))) {
      room.checkpoint.reset();
      room.tail = std::move(*records);
    }
  }
  return room;
}

Result<std::optional<StoredRoom>> Database::read(RoomKey key) {
  sql_.find_name.bind(1, static_cast<std::uint64_t>(key));
  if (!JAM_TRY(sql_.find_name.step())) {
    sql_.find_name.reset();
    return std::nullopt;
  }
  const RoomName name{.service = std::string(sql_.find_name.blob(0)), .id = std::string(sql_.find_name.blob(1))};
  sql_.find_name.reset();
  return read(name);
}

Result<std::optional<RoomKey>> Database::key_of(const RoomName& name) {
  sql_.find.bind_blob(1, name.service);
  sql_.find.bind_blob(2, name.id);
  std::optional<RoomKey> key;
  if (JAM_TRY(sql_.find.step())) {
    key = RoomKey{sql_.find.number(0)};
  }
  sql_.find.reset();
  return key;
}

// From one to the next by the index: there are few, of many rooms.
Result<std::vector<std::string>> Database::services() {
  std::vector<std::string> found;
  Statement next =
      JAM_TRY(connection_.prepare("SELECT service FROM room WHERE ?1 = 0 OR service > ?2 ORDER BY service LIMIT 1"));
  for (;;) {
    next.bind(1, std::uint64_t{found.empty() ? 0U : 1U});
    next.bind_blob(2, found.empty() ? std::string_view() : std::string_view(found.back()));
    if (!JAM_TRY(next.step())) {
      return found;
    }
    std::string service(next.blob(0));
    next.reset();
    found.push_back(std::move(service));
  }
}

Result<std::vector<RoomSummary>> Database::list(const std::optional<RoomName>& after, std::size_t count_max) {
  Statement rows = JAM_TRY(connection_.prepare(
      "SELECT key, service, id, birth, room.timer_ms, coalesce(number, 0), coalesce(length(body), 0) FROM room "
      "LEFT JOIN checkpoint ON room = key WHERE ?1 = 0 OR (service, id) > (?2, ?3) ORDER BY service, id LIMIT ?4"));
  rows.bind(1, std::uint64_t{after ? 1U : 0U});
  rows.bind_blob(2, after ? after->service : std::string_view());
  rows.bind_blob(3, after ? after->id : std::string_view());
  rows.bind(4, std::uint64_t{count_max});
  std::vector<RoomSummary> found;
  while (JAM_TRY(rows.step())) {
    RoomSummary room{.key = RoomKey{rows.number(0)},
                     .name = {.service = std::string(rows.blob(1)), .id = std::string(rows.blob(2))},
                     .birth = std::string(rows.blob(3)),
                     .checkpoint_number = rows.number(5),
                     .checkpoint_bytes = rows.number(6),
                     .last_number = rows.number(5),
                     .timer_ms = rows.integer(4)};
    if (const auto tail = tails_.find(room.key); tail != tails_.end()) {
      room.last_number = tail->second.last;
      room.timer_ms = tail->second.timer_ms;
    }
    found.push_back(std::move(room));
  }
  return found;
}

Result<std::vector<SleepingRoom>> Database::sleeping() {
  std::vector<SleepingRoom> rooms;
  Statement timed = JAM_TRY(connection_.prepare("SELECT key, service, id, timer_ms FROM room WHERE timer_ms > 0"));
  while (JAM_TRY(timed.step())) {
    if (!tails_.contains(RoomKey{timed.number(0)})) {
      rooms.push_back({.name = {.service = std::string(timed.blob(1)), .id = std::string(timed.blob(2))},
                       .timer_ms = timed.integer(3)});
    }
  }
  Statement named = JAM_TRY(connection_.prepare("SELECT service, id FROM room WHERE key = ?"));
  for (const auto& [key, tail] : tails_) {
    if (tail.timer_ms == 0) {
      continue;
    }
    named.bind(1, static_cast<std::uint64_t>(key));
    if (JAM_TRY(named.step())) {
      rooms.push_back({.name = {.service = std::string(named.blob(0)), .id = std::string(named.blob(1))},
                       .timer_ms = tail.timer_ms});
    }
    named.reset();
  }
  return rooms;
}

Result<void> Database::keep_module(std::string_view hash, std::string_view bytes) {
  Statement keep = JAM_TRY(connection_.prepare("INSERT OR IGNORE INTO module VALUES(?, ?)"));
  keep.bind_text(1, hash);
  keep.bind_blob(2, bytes);
  JAM_TRY_VOID(keep.run());
  JAM_TRY_VOID(write_ahead_.committed());
  return tend_log();
}

Result<std::optional<std::string>> Database::module(std::string_view hash) {
  Statement find = JAM_TRY(connection_.prepare("SELECT bytes FROM module WHERE hash = ?"));
  find.bind_text(1, hash);
  if (!JAM_TRY(find.step())) {
    return std::nullopt;
  }
  return std::string(find.blob(0));
}

Result<std::vector<std::string>> Database::module_hashes() {
  std::vector<std::string> found;
  Statement rows = JAM_TRY(connection_.prepare("SELECT hash FROM module"));
  while (JAM_TRY(rows.step())) {
    found.emplace_back(rows.blob(0));
  }
  return found;
}

Result<std::optional<Reach>> Database::reach(const RoomName& name) {
  const auto room = JAM_TRY(read(name));
  if (!room) {
    return std::nullopt;
  }
  return JAM_TRY(history_.reach(room->key, reach_of(*room)));
}

Result<std::optional<StoredRoom>> Database::read_back(const RoomName& name, std::uint64_t to) {
  auto room = JAM_TRY(read(name));
  if (!room) {
    return std::nullopt;
  }
  const Reach needed = reach_of(*room);
  const Reach reach = JAM_TRY(history_.reach(room->key, needed));
  if (to < reach.earliest || to > reach.latest) {
    return fail(ErrorCode::InvalidArgument, fmt::format("event {} is not kept; the room can go back to events {} to {}",
                                                        to, reach.earliest, reach.latest));
  }
  if (to >= needed.earliest) {
    room->tail.resize(static_cast<std::size_t>(to - needed.earliest));
    return room;
  }
  History::Past past = JAM_TRY(history_.read(room->key, to));
  room->checkpoint = std::move(past.checkpoint);
  room->tail = std::move(past.records);
  return room;
}

Result<std::vector<std::string>> Database::check() {
  std::vector<std::string> wrong;
  Statement check = JAM_TRY(connection_.prepare("PRAGMA integrity_check(100)"));
  while (JAM_TRY(check.step())) {
    if (check.blob(0) != "ok") {
      wrong.emplace_back(check.blob(0));
    }
  }
  std::ranges::move(JAM_TRY(history_.check(rows_.empty() ? next_sequence_ : rows_.begin()->first)),
                    std::back_inserter(wrong));
  std::optional<RoomName> after;
  constexpr std::size_t kPage = 1000;
  for (;;) {
    const auto rooms = JAM_TRY(list(after, kPage));
    for (const RoomSummary& room : rooms) {
      if (const auto stored = read(room.name); !stored) {
        wrong.push_back(fmt::format("room {} of {}: {}", room.name.id, room.name.service, stored.error().message));
      }
    }
    if (rooms.size() < kPage) {
      return wrong;
    }
    after = rooms.back().name;
  }
}

Result<void> Database::compact() {
  JAM_TRY_VOID(connection_.execute("VACUUM"));
  JAM_TRY_VOID(write_ahead_.work_in());
  return connection_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> Database::backup(const std::filesystem::path& file) {
  Statement copy = JAM_TRY(connection_.prepare("VACUUM INTO ?"));
  const std::string path = file.string();
  copy.bind_text(1, path);
  return copy.run();
}

}  // namespace jamsocket::store
