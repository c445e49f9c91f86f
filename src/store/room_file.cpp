#include "store/room_file.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <cstring>

#include "base/check.hpp"
#include "jamsocket/state.hpp"
#include "store/log_row.hpp"

namespace jamsocket::store {
namespace {

constexpr std::string_view kMagic = "JAMROOM1";
constexpr std::size_t kHeadBytes = 12;
constexpr int kLevel = 3;

}  // namespace

std::string to_room_file(const StoredRoom& room) {
  Writer writer;
  writer.put(room.name.service);
  writer.put(room.name.id);
  writer.put(room.birth);
  writer.put(room.checkpoint.has_value());
  if (room.checkpoint) {
    writer.put(room.checkpoint->number);
    writer.put(room.checkpoint->timer_ms);
    writer.put(room.checkpoint->bytes);
  }
  writer.put(static_cast<std::uint64_t>(room.tail.size()));
  for (const Record& record : room.tail) {
    writer.put(record.number);
    writer.put(record.timer_ms);
    writer.put(record.bytes);
  }
  const std::string& raw = writer.bytes();
  std::string out(kHeadBytes + ZSTD_compressBound(raw.size()), '\0');
  const std::size_t packed =
      ZSTD_compress(out.data() + kHeadBytes, out.size() - kHeadBytes, raw.data(), raw.size(), kLevel);
  JAM_CHECK(ZSTD_isError(packed) == 0);
  out.resize(kHeadBytes + packed);
  const std::uint32_t sum = checksum(std::string_view(out).substr(kHeadBytes));
  std::memcpy(out.data(), kMagic.data(), kMagic.size());
  std::memcpy(out.data() + kMagic.size(), &sum, sizeof sum);
  return out;
}

Result<StoredRoom> from_room_file(std::string_view bytes, std::uint64_t unpacked_bytes_max) {
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMagic)) {
    return fail(ErrorCode::Malformed, "it is not the file of a room");
  }
  const auto damaged = [] { return fail(ErrorCode::Malformed, "the file of the room is damaged"); };
  std::uint32_t sum = 0;
  std::memcpy(&sum, bytes.data() + kMagic.size(), sizeof sum);
  const std::string_view frame = bytes.substr(kHeadBytes);
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (sum != checksum(frame) || size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return damaged();
  }
  if (size > unpacked_bytes_max) {
    return fail(ErrorCode::TooLarge,
                fmt::format("the room is {} bytes when unpacked; allowed: {}", size, unpacked_bytes_max));
  }
  std::string raw(static_cast<std::size_t>(size), '\0');
  if (ZSTD_decompress(raw.data(), raw.size(), frame.data(), frame.size()) != raw.size()) {
    return damaged();
  }
  Reader reader(raw);
  StoredRoom room;
  reader.get(room.name.service);
  reader.get(room.name.id);
  reader.get(room.birth);
  if (reader.get<bool>()) {
    room.checkpoint.emplace();
    reader.get(room.checkpoint->number);
    reader.get(room.checkpoint->timer_ms);
    reader.get(room.checkpoint->bytes);
  }
  const auto count = reader.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    Record record;
    reader.get(record.number);
    reader.get(record.timer_ms);
    reader.get(record.bytes);
    room.tail.push_back(std::move(record));
  }
  if (!reader.ok() || !reader.at_end()) {
    return damaged();
  }
  return room;
}

}  // namespace jamsocket::store
