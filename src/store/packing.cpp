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

struct Unpacker::Work {
  struct Free {
    void operator()(ZSTD_DCtx* freed) const { ZSTD_freeDCtx(freed); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
};

Unpacker::Unpacker() : work_(std::make_unique<Work>()) { JAM_CHECK(work_->context != nullptr); }

Unpacker::~Unpacker() = default;

Result<Checkpoint> Unpacker::unpack(const PackedCheckpoint& packed, std::string_view bytes, Buffers& buffers) {
  const auto damaged = [&] {
    return fail(ErrorCode::Malformed, fmt::format("its checkpoint at event {} is damaged", packed.checkpoint.number));
  };
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
  Checkpoint checkpoint{.number = packed.checkpoint.number,
                        .timer_ms = packed.checkpoint.timer_ms,
                        .bytes = buffers.take(static_cast<std::size_t>(size))};
  std::size_t written = 0;
  // Not resized, which would fill it with zeros first.
  checkpoint.bytes.resize_and_overwrite(static_cast<std::size_t>(size), [&](char* out, std::size_t room) {
    written = ZSTD_decompressDCtx(work_->context.get(), out, room, frame.data(), frame.size());
    return ZSTD_isError(written) != 0 ? 0 : written;
  });
  if (written != size) {
    return damaged();
  }
  return checkpoint;
}

Result<Checkpoint> unpack(const PackedCheckpoint& packed) {
  Buffers buffers;
  return Unpacker().unpack(packed, packed.checkpoint.bytes, buffers);
}

}  // namespace jamsocket::store
