#include "store/packing.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <cstring>

#include "base/check.hpp"
#include "store/log_row.hpp"

namespace jamsocket::store {
namespace {

constexpr int kLevel = 1;
constexpr std::size_t kCrcBytes = 4;
// More than a room's memory can be.
constexpr std::uint64_t kRawBytesMax = std::uint64_t{5} << 30U;

std::uint32_t checksum_of(RoomKey key, const Checkpoint& checkpoint, std::string_view frame) {
  std::string head;
  for (const std::uint64_t number :
       {static_cast<std::uint64_t>(key), checkpoint.number, static_cast<std::uint64_t>(checkpoint.timer_ms)}) {
    head.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return checksum(head, frame);
}

}  // namespace

PackedCheckpoint pack(const Batch::Checkpointed& raw) {
  const std::string& bytes = raw.checkpoint.bytes;
  std::string out(kCrcBytes + ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t packed =
      ZSTD_compress(out.data() + kCrcBytes, out.size() - kCrcBytes, bytes.data(), bytes.size(), kLevel);
  JAM_CHECK(ZSTD_isError(packed) == 0);
  out.resize(kCrcBytes + packed);
  const std::uint32_t sum = checksum_of(raw.key, raw.checkpoint, std::string_view(out).substr(kCrcBytes));
  std::memcpy(out.data(), &sum, sizeof sum);
  return {
      .key = raw.key,
      .checkpoint = {.number = raw.checkpoint.number, .timer_ms = raw.checkpoint.timer_ms, .bytes = std::move(out)}};
}

Result<Checkpoint> unpack(const PackedCheckpoint& packed) {
  const auto damaged = [&] {
    return fail(ErrorCode::Malformed, fmt::format("its checkpoint at event {} is damaged", packed.checkpoint.number));
  };
  const std::string_view bytes = packed.checkpoint.bytes;
  if (bytes.size() < kCrcBytes) {
    return damaged();
  }
  std::uint32_t sum = 0;
  std::memcpy(&sum, bytes.data(), sizeof sum);
  const std::string_view frame = bytes.substr(kCrcBytes);
  if (sum != checksum_of(packed.key, packed.checkpoint, frame)) {
    return damaged();
  }
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > kRawBytesMax) {
    return damaged();
  }
  Checkpoint checkpoint{.number = packed.checkpoint.number, .timer_ms = packed.checkpoint.timer_ms, .bytes = {}};
  checkpoint.bytes.resize(static_cast<std::size_t>(size));
  const std::size_t written =
      ZSTD_decompress(checkpoint.bytes.data(), checkpoint.bytes.size(), frame.data(), frame.size());
  if (ZSTD_isError(written) != 0 || written != checkpoint.bytes.size()) {
    return damaged();
  }
  return checkpoint;
}

}  // namespace jamsocket::store
