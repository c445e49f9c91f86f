#include "store/log_row.hpp"

#include <libdeflate.h>

#include <bit>
#include <cstring>
#include <limits>

#include "base/check.hpp"

namespace jamsocket::store {
namespace {

constexpr std::size_t kRecordHeadBytes = 32;
constexpr std::size_t kLengthAndCrcBytes = 8;
constexpr std::size_t kRunBytes = 28;
constexpr std::size_t kCrcBytes = 4;

static_assert(std::endian::native == std::endian::little, "the formats below are written as they lie in memory");

template <class T>
void put(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}

template <class T>
T get(std::string_view in, std::size_t offset) {
  T value{};
  std::memcpy(&value, in.data() + offset, sizeof(T));
  return value;
}

std::string_view view_of(const std::uint64_t& number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

std::uint32_t crc(std::uint32_t start, std::string_view bytes) {
  return libdeflate_crc32(start, bytes.data(), bytes.size());
}

}  // namespace

std::uint32_t checksum(std::string_view first, std::string_view second) {
  const std::uint32_t start = crc(0, first.empty() ? std::string_view("") : first);
  return second.empty() ? start : crc(start, second);
}

void RowWriter::add(const RowRecord& record) {
  JAM_CHECK(record.bytes.size() <= std::numeric_limits<std::uint32_t>::max());
  const std::size_t start = body_.size();
  put(body_, static_cast<std::uint32_t>(record.bytes.size()));
  put(body_, std::uint32_t{0});
  put(body_, static_cast<std::uint64_t>(record.key));
  put(body_, record.number);
  put(body_, record.timer_ms);
  body_.append(record.bytes);
  const std::uint32_t sum = checksum(view_of(sequence_), std::string_view(body_).substr(start + kLengthAndCrcBytes));
  std::memcpy(body_.data() + start + sizeof(std::uint32_t), &sum, sizeof sum);

  if (!runs_.empty() && runs_.back().key == record.key && runs_.back().last() + 1 == record.number) {
    ++runs_.back().count;
    runs_.back().timer_ms = record.timer_ms;
  } else {
    runs_.push_back({.key = record.key, .first = record.number, .count = 1, .timer_ms = record.timer_ms});
  }
}

std::string RowWriter::directory() const {
  std::string out(kCrcBytes, '\0');
  out.reserve(kCrcBytes + runs_.size() * kRunBytes);
  for (const RowRun& run : runs_) {
    put(out, static_cast<std::uint64_t>(run.key));
    put(out, run.first);
    put(out, run.count);
    put(out, run.timer_ms);
  }
  const std::uint32_t sum = checksum(view_of(sequence_), std::string_view(out).substr(kCrcBytes));
  std::memcpy(out.data(), &sum, sizeof sum);
  return out;
}

Result<std::vector<RowRun>> parse_directory(std::uint64_t sequence, std::string_view directory) {
  if (directory.size() < kCrcBytes || (directory.size() - kCrcBytes) % kRunBytes != 0 ||
      checksum(view_of(sequence), directory.substr(kCrcBytes)) != get<std::uint32_t>(directory, 0)) {
    return fail(ErrorCode::Malformed, "the directory of a row of the log is damaged");
  }
  std::vector<RowRun> runs;
  for (std::size_t at = kCrcBytes; at < directory.size(); at += kRunBytes) {
    runs.push_back({.key = RoomKey{get<std::uint64_t>(directory, at)},
                    .first = get<std::uint64_t>(directory, at + 8),
                    .count = get<std::uint32_t>(directory, at + 16),
                    .timer_ms = get<std::int64_t>(directory, at + 20)});
  }
  return runs;
}

RowReader::Step RowReader::next(RowRecord& record, std::optional<RoomKey> only) {
  while (!left_.empty()) {
    if (left_.size() < kRecordHeadBytes) {
      return Step::Lost;
    }
    const std::size_t length = get<std::uint32_t>(left_, 0);
    if (length > left_.size() - kRecordHeadBytes) {
      return Step::Lost;
    }
    const std::string_view whole = left_.substr(0, kRecordHeadBytes + length);
    left_.remove_prefix(whole.size());
    const RoomKey key{get<std::uint64_t>(whole, 8)};
    if (only && key != *only) {
      continue;
    }
    record = {.key = key,
              .number = get<std::uint64_t>(whole, 16),
              .timer_ms = get<std::int64_t>(whole, 24),
              .bytes = whole.substr(kRecordHeadBytes)};
    const bool fits = checksum(view_of(sequence_), whole.substr(kLengthAndCrcBytes)) == get<std::uint32_t>(whole, 4);
    return fits ? Step::Record : Step::Damaged;
  }
  return Step::End;
}

}  // namespace jamsocket::store
