#include "store/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "store/packing.hpp"

namespace jamsocket::store {
namespace {

constexpr std::size_t kRowsPerCommit = 64;
// Writing the floor down costs a page a commit; what lies between is only read once more at the next start.
constexpr std::uint64_t kRowsPerNote = 64;
constexpr std::int64_t kMilestoneMs = 60'000;
constexpr std::int64_t kMilestonesInAge = 1'000;
// A checkpoint is kept once it is worth it: where many events lie behind the last one that was, or where it is small
// beside them.
constexpr std::uint64_t kEventsPerCheckpoint = 1'000;
constexpr std::uint64_t kBytesPerEvent = 64;

// The lowest number from which on all events up to `latest` are in `runs`, which are sorted by their first; `latest` +
// 1: not even that one is.
template <class Runs>
std::uint64_t unbroken_from(const Runs& runs, std::uint64_t latest) {
  std::uint64_t from = latest + 1;
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    // Records may lie in two rows: some were copied to the log's end.
    if (run->first < from && run->last + 1 >= from) {
      from = run->first;
    }
  }
  return from;
}

}  // namespace

Result<void> History::open() {
  const auto counter = [this](const char* name) {
    return connection_.ask(fmt::format("SELECT value FROM counter WHERE name = '{}'", name));
  };
  floor_ = static_cast<std::uint64_t>(JAM_TRY(counter("history_floor")));
  bytes_ = static_cast<std::uint64_t>(JAM_TRY(counter("history_bytes")));
  Statement milestones = JAM_TRY(connection_.prepare("SELECT sequence, time_ms FROM milestone ORDER BY sequence"));
  while (JAM_TRY(milestones.step())) {
    milestones_.push_back({.sequence = milestones.number(0), .time_ms = milestones.integer(1)});
  }
  set_counter_ =
      JAM_TRY(connection_.prepare("INSERT INTO counter VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2"));
  add_milestone_ = JAM_TRY(connection_.prepare("INSERT OR REPLACE INTO milestone VALUES(?, ?)"));
  drop_milestones_ = JAM_TRY(connection_.prepare("DELETE FROM milestone WHERE sequence <= ?"));
  oldest_row_ = JAM_TRY(connection_.prepare(
      "SELECT sequence, directory, length(body) FROM log WHERE sequence < ? ORDER BY sequence LIMIT 1"));
  drop_row_ = JAM_TRY(connection_.prepare("DELETE FROM log WHERE sequence = ?"));
  last_kept_ = JAM_TRY(connection_.prepare(
      "SELECT coalesce((SELECT max(number) FROM old_checkpoint WHERE room = ?1), 0), number, length(body) "
      "FROM checkpoint WHERE room = ?1"));
  keep_checkpoint_ =
      JAM_TRY(connection_.prepare("INSERT OR IGNORE INTO old_checkpoint(room, number, timer_ms, body) "
                                  "SELECT room, number, timer_ms, body FROM checkpoint WHERE room = ?"));
  drop_checkpoints_ =
      JAM_TRY(connection_.prepare("DELETE FROM old_checkpoint WHERE room = ? AND number < ? RETURNING length(body)"));
  forget_room_ = JAM_TRY(connection_.prepare("DELETE FROM old_checkpoint WHERE room = ? RETURNING length(body)"));
  return {};
}

Result<void> History::keep_checkpoint(RoomKey key, std::uint64_t number) {
  last_kept_.bind(1, static_cast<std::uint64_t>(key));
  if (!JAM_TRY(last_kept_.step())) {
    last_kept_.reset();
    return {};
  }
  const std::uint64_t last_kept = last_kept_.number(0);
  const std::uint64_t present = last_kept_.number(1);
  const std::uint64_t bytes = last_kept_.number(2);
  last_kept_.reset();
  const std::uint64_t events = present - std::min(last_kept, present);
  const bool is_worth_it = events >= kEventsPerCheckpoint || bytes <= events * kBytesPerEvent;
  if (present >= number || !is_worth_it) {
    return {};
  }
  bytes_ += bytes;
  keep_checkpoint_.bind(1, static_cast<std::uint64_t>(key));
  return keep_checkpoint_.run();
}

Result<void> History::forget_room(RoomKey key) {
  forget_room_.bind(1, static_cast<std::uint64_t>(key));
  while (JAM_TRY(forget_room_.step())) {
    bytes_ -= std::min(bytes_, forget_room_.number(0));
  }
  forget_room_.reset();
  return {};
}

Result<void> History::keep_up(std::uint64_t floor, std::uint64_t next_sequence) {
  if (is_kept()) {
    JAM_TRY_VOID(note_time(next_sequence));
  }
  if (is_kept() && floor >= floor_ + kRowsPerNote) {
    JAM_TRY_VOID(write_down(floor));
  }
  return limits_.all || bytes_ == 0 ? Result<void>{} : drop_what_is_too_much(floor);
}

Result<void> History::note_time(std::uint64_t next_sequence) {
  if (limits_.age_max.count() == 0) {
    return {};
  }
  const Milestone now{.sequence = next_sequence, .time_ms = unix_ms_()};
  const Milestone before = std::exchange(last_commit_, now);
  const std::int64_t pause = std::max<std::int64_t>(kMilestoneMs, limits_.age_max.count() / kMilestonesInAge);
  if (!milestones_.empty()) {
    if (now.time_ms - milestones_.back().time_ms < std::min(pause, limits_.age_max.count())) {
      return {};
    }
    // What was written before a pause is as old as the pause is long.
    if (before.sequence > milestones_.back().sequence) {
      JAM_TRY_VOID(add(before));
    }
  }
  return add(now);
}

Result<void> History::add(Milestone milestone) {
  milestones_.push_back(milestone);
  add_milestone_.bind(1, milestone.sequence);
  add_milestone_.bind(2, milestone.time_ms);
  return add_milestone_.run();
}

Result<void> History::write_down(std::uint64_t floor) {
  floor_ = floor;
  for (const auto& [name, value] : {std::pair("history_floor", floor_), std::pair("history_bytes", bytes_)}) {
    set_counter_.bind_text(1, name);
    set_counter_.bind(2, value);
    JAM_TRY_VOID(set_counter_.run());
  }
  return {};
}

Result<void> History::drop_what_is_too_much(std::uint64_t floor) {
  // Rows below are older than wanted.
  std::uint64_t old_below = limits_.age_max.count() > 0 ? 0 : std::numeric_limits<std::uint64_t>::max();
  const std::int64_t oldest_wanted_ms = unix_ms_() - limits_.age_max.count();
  while (limits_.age_max.count() > 0 && !milestones_.empty() && milestones_.front().time_ms <= oldest_wanted_ms) {
    old_below = milestones_.front().sequence;
    if (milestones_.size() > 1 && milestones_[1].time_ms > oldest_wanted_ms) {
      break;  // It still says so when the next rows are looked at.
    }
    milestones_.pop_front();
  }
  bool dropped = false;
  for (std::size_t i = 0; i < kRowsPerCommit && bytes_ > limits_.bytes_max; ++i) {
    if (!JAM_TRY(drop_oldest_row(std::min(old_below, floor)))) {
      break;
    }
    dropped = true;
  }
  if (!dropped) {
    return {};
  }
  if (!milestones_.empty()) {
    drop_milestones_.bind(1, milestones_.front().sequence - 1);
    JAM_TRY_VOID(drop_milestones_.run());
  }
  return write_down(floor);
}

// @return whether there was one.
Result<bool> History::drop_oldest_row(std::uint64_t below) {
  oldest_row_.bind(1,
                   static_cast<std::int64_t>(std::min(below, std::uint64_t{std::numeric_limits<std::int64_t>::max()})));
  if (!JAM_TRY(oldest_row_.step())) {
    oldest_row_.reset();
    return false;
  }
  const std::uint64_t sequence = oldest_row_.number(0);
  const auto runs = parse_directory(sequence, oldest_row_.blob(1));
  bytes_ -= std::min(bytes_, oldest_row_.number(2));
  oldest_row_.reset();
  drop_row_.bind(1, sequence);
  JAM_TRY_VOID(drop_row_.run());
  if (runs) {  // Else the room cannot go back behind it anyway: the next record is missing.
    for (const RowRun& run : *runs) {
      JAM_TRY_VOID(drop_checkpoints_below(run.key, run.last()));
    }
  }
  return true;
}

Result<void> History::drop_checkpoints_below(RoomKey key, std::uint64_t number) {
  drop_checkpoints_.bind(1, static_cast<std::uint64_t>(key));
  drop_checkpoints_.bind(2, number);
  while (JAM_TRY(drop_checkpoints_.step())) {
    bytes_ -= std::min(bytes_, drop_checkpoints_.number(0));
  }
  drop_checkpoints_.reset();
  return {};
}

Result<std::vector<History::Run>> History::runs_of(RoomKey key) {
  std::vector<Run> found;
  // The directories lie before the bodies: those are not read.
  Statement rows = JAM_TRY(connection_.prepare("SELECT sequence, directory FROM log ORDER BY sequence"));
  while (JAM_TRY(rows.step())) {
    const std::uint64_t sequence = rows.number(0);
    const auto runs = parse_directory(sequence, rows.blob(1));
    if (!runs) {
      continue;  // Its records count as missing.
    }
    for (const RowRun& run : *runs) {
      if (run.key == key) {
        found.push_back({.sequence = sequence, .first = run.first, .last = run.last()});
      }
    }
  }
  std::ranges::sort(found, {}, &Run::first);
  return found;
}

Result<std::vector<std::uint64_t>> History::checkpoints_of(RoomKey key) {
  std::vector<std::uint64_t> numbers;
  Statement rows = JAM_TRY(connection_.prepare("SELECT number FROM old_checkpoint WHERE room = ? ORDER BY number"));
  rows.bind(1, static_cast<std::uint64_t>(key));
  while (JAM_TRY(rows.step())) {
    numbers.push_back(rows.number(0));
  }
  return numbers;
}

Result<Reach> History::reach(RoomKey key, Reach needed) {
  const auto runs = JAM_TRY(runs_of(key));
  const std::uint64_t from = unbroken_from(runs, needed.latest);
  Reach reach = needed;
  if (from <= 1) {
    reach.earliest = 0;
    return reach;
  }
  const auto checkpoints = JAM_TRY(checkpoints_of(key));
  for (const std::uint64_t number : checkpoints) {
    if (number + 1 >= from) {
      reach.earliest = std::min(reach.earliest, number);
    }
  }
  return reach;
}

Result<History::Past> History::read(RoomKey key, std::uint64_t to) {
  Past past;
  Statement find = JAM_TRY(connection_.prepare(
      "SELECT number, timer_ms, body FROM old_checkpoint WHERE room = ? AND number <= ? ORDER BY number DESC LIMIT 1"));
  find.bind(1, static_cast<std::uint64_t>(key));
  find.bind(2, to);
  if (JAM_TRY(find.step())) {
    past.checkpoint = JAM_TRY(unpack(
        {.key = key,
         .checkpoint = {.number = find.number(0), .timer_ms = find.integer(1), .bytes = std::string(find.blob(2))}}));
  }
  const std::uint64_t base = past.checkpoint ? past.checkpoint->number : 0;
  const auto runs = JAM_TRY(runs_of(key));
  past.records = JAM_TRY(records_of(key, runs, base, to));
  if (past.records.size() != to - base) {
    return fail(ErrorCode::Malformed, fmt::format("not all events from {} to {} are there", base + 1, to));
  }
  return past;
}

Result<std::optional<std::vector<Record>>> History::read_whole(RoomKey key, std::uint64_t to, std::uint64_t bytes_max) {
  const auto runs = JAM_TRY(runs_of(key));
  if (to > 0 && unbroken_from(runs, to) > 1) {
    return std::nullopt;
  }
  auto records = JAM_TRY(records_of(key, runs, 0, to, bytes_max));
  return records.size() == to ? std::optional(std::move(records)) : std::nullopt;
}

Result<std::vector<Record>> History::records_of(RoomKey key, const std::vector<Run>& runs, std::uint64_t after,
                                                std::uint64_t to, std::uint64_t bytes_max) {
  std::vector<Record> records;
  std::uint64_t bytes = 0;
  Statement row = JAM_TRY(connection_.prepare("SELECT body FROM log WHERE sequence = ?"));
  std::uint64_t last_sequence = 0;
  for (const Run& run : runs) {
    // A row may hold several runs of the room: it is read once.
    if (run.last <= after || run.first > to || run.sequence == last_sequence) {
      continue;
    }
    last_sequence = run.sequence;
    row.bind(1, run.sequence);
    if (!JAM_TRY(row.step())) {
      return fail(ErrorCode::Malformed, fmt::format("row {} of the log is gone", run.sequence));
    }
    RowReader reader(run.sequence, row.blob(0));
    RowRecord record;
    auto step = reader.next(record, key);
    for (; step == RowReader::Step::Record; step = reader.next(record, key)) {
      if (record.number > after && record.number <= to) {
        records.push_back({.number = record.number, .timer_ms = record.timer_ms, .bytes = std::string(record.bytes)});
        bytes += sizeof(Record) + record.bytes.size();
      }
    }
    row.reset();
    if (bytes > bytes_max) {
      return fail(ErrorCode::TooLarge, fmt::format("its history takes more than {} bytes", bytes_max));
    }
    if (step != RowReader::Step::End) {
      return fail(ErrorCode::Malformed, fmt::format("an event in row {} of the log is damaged", run.sequence));
    }
  }
  std::ranges::sort(records, {}, &Record::number);
  const auto twice = std::ranges::unique(records, {}, &Record::number);
  records.erase(twice.begin(), twice.end());
  return records;
}

Result<std::vector<std::string>> History::check(std::uint64_t floor) {
  std::vector<std::string> wrong;
  Statement rows =
      JAM_TRY(connection_.prepare("SELECT sequence, directory, body FROM log WHERE sequence < ? ORDER BY sequence"));
  rows.bind(1, floor);
  while (JAM_TRY(rows.step())) {
    const std::uint64_t sequence = rows.number(0);
    RowReader reader(sequence, rows.blob(2));
    RowRecord record;
    auto step = reader.next(record);
    while (step == RowReader::Step::Record) {
      step = reader.next(record);
    }
    if (step != RowReader::Step::End || !parse_directory(sequence, rows.blob(1))) {
      wrong.push_back(fmt::format("row {} of the log is damaged", sequence));
    }
  }
  Statement checkpoints = JAM_TRY(connection_.prepare("SELECT room, number, timer_ms, body FROM old_checkpoint"));
  while (JAM_TRY(checkpoints.step())) {
    const auto read = unpack({.key = RoomKey{checkpoints.number(0)},
                              .checkpoint = {.number = checkpoints.number(1),
                                             .timer_ms = checkpoints.integer(2),
                                             .bytes = std::string(checkpoints.blob(3))}});
    if (!read) {
      wrong.push_back(fmt::format("an older checkpoint (of event {}) of the room with the key {}: {}",
                                  checkpoints.number(1), checkpoints.number(0), read.error().message));
    }
  }
  return wrong;
}

}  // namespace jamsocket::store
