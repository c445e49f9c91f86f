// store/log_row.hpp
//
// The bytes of one row of the log: records of many rooms that were committed together, and a
// directory of whose records they are.
//
// All numbers are little-endian.
//
//   body       records, one behind the other:
//              u32 length of the bytes | u32 crc | u64 room | u64 number | i64 timer | bytes
//              crc: CRC-32 (zlib's) of the row's sequence number and of everything behind the crc
//   directory  u32 crc | entries, each a run of a room's records in this row without a gap:
//              u64 room | u64 number of the first | u32 how many | i64 timer after the last
//              crc: of the row's sequence number and of the entries
//
// The directory alone tells, at start, where each room's records are; and which rooms have lost some
// when a body is damaged.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/types.hpp"

namespace jamsocket::store {

/// A run of one room's records in one row.
struct RowRun {
  RoomKey key{};
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::int64_t timer_ms = 0;  ///< After the last.
  [[nodiscard]] std::uint64_t last() const { return first + count - 1; }
  friend bool operator==(const RowRun&, const RowRun&) = default;
};

/// A record where it lies.
struct RowRecord {
  RoomKey key{};
  std::uint64_t number = 0;
  std::int64_t timer_ms = 0;
  std::string_view bytes;
};

class RowWriter {
 public:
  explicit RowWriter(std::uint64_t sequence) : sequence_(sequence) {}
  void add(const RowRecord& record);
  [[nodiscard]] bool empty() const { return runs_.empty(); }
  [[nodiscard]] const std::string& body() const { return body_; }
  [[nodiscard]] std::string directory() const;
  [[nodiscard]] const std::vector<RowRun>& runs() const { return runs_; }
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }

 private:
  std::uint64_t sequence_;
  std::string body_;
  std::vector<RowRun> runs_;
};

/// @error Malformed  the directory is damaged.
[[nodiscard]] Result<std::vector<RowRun>> parse_directory(std::uint64_t sequence, std::string_view directory);

/// Walks the records of a body.
class RowReader {
 public:
  RowReader(std::uint64_t sequence, std::string_view body) : sequence_(sequence), left_(body) {}
  enum class Step : std::uint8_t {
    Record,
    Damaged,  ///< This record's checksum does not fit; those behind it may be right.
    End,
    Lost,  ///< What follows cannot even be divided into records.
  };
  /// Looks at the next record; one of another room than `only` is passed over unread.
  [[nodiscard]] Step next(RowRecord& record, std::optional<RoomKey> only = std::nullopt);

 private:
  std::uint64_t sequence_;
  std::string_view left_;
};

/// CRC-32 as in zlib (RFC 1952 section 8), of two pieces.
[[nodiscard]] std::uint32_t checksum(std::string_view first, std::string_view second = {});

}  // namespace jamsocket::store
