#include "ws/deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::ws {
namespace {

// What the sender took off the end of each message: an empty block, up to the next whole byte.
constexpr std::string_view kTail{"\x00\x00\xFF\xFF", 4};

// A sender has little reason for even one "final" block in a message, and none for many.
constexpr int kFinalBlocksMax = 8;

constexpr int kMemoryLevel = 8;
constexpr int kWindowBitsMax = 15;
constexpr std::size_t kFirstRoomBytes = 4096;
constexpr std::size_t kKeptRoomBytes = std::size_t{64} << 10U;  // More is given back when the next message comes.
constexpr Violation kDamaged{close_code::kBadData, "compressed data is damaged"};
constexpr Violation kTooLong{close_code::kTooBig, "message too big"};

// zlib reads through a pointer to non-const and does not write there.
Bytef* input_of(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));  // NOLINT(*-const-cast)
}

uInt size_of(std::size_t bytes) {
  JAM_CHECK(bytes <= std::numeric_limits<uInt>::max());
  return static_cast<uInt>(bytes);
}

}  // namespace

class Inflater::Stream {
 public:
  explicit Stream(int window_bits) : window_bits_(window_bits) {
    JAM_CHECK(::inflateInit2(&zlib, -window_bits) == Z_OK);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { ::inflateEnd(&zlib); }

  // Forgets all, and takes on another window.
  void reset(int window_bits) {
    window_bits_ = window_bits;
    JAM_CHECK(::inflateReset2(&zlib, -window_bits) == Z_OK);
  }
  // After a final block: what follows, if anything does, is a stream of its own.
  void start_again() {
    reset(window_bits_);
    has_just_ended_ = zlib.avail_in == 0;
  }

  int inflate() {
    has_just_ended_ = has_just_ended_ && zlib.avail_in == 0;
    return ::inflate(&zlib, Z_SYNC_FLUSH);
  }

  // Between two blocks, with no bits left over from a byte. zlib tells so in data_type.
  [[nodiscard]] bool is_between_blocks() const {
    return has_just_ended_ || ((zlib.data_type & 128) != 0 && (zlib.data_type & 63) == 0);
  }

  z_stream zlib{};
  int final_blocks = 0;

 private:
  int window_bits_;
  bool has_just_ended_ = false;
};

Inflater::Inflater() : message_(own_room_) {}
Inflater::Inflater(std::string& room) : message_(room) {}
Inflater::~Inflater() = default;

std::expected<std::string_view, Violation> Inflater::inflate(std::string_view compressed, std::size_t bytes_max,
                                                             const DeflateAgreement& agreement) {
  // zlib holds a reference against the window only where it reaches behind what one call has written: with a smaller
  // one, what comes of a message that reaches too far would depend on the messages of others before it.
  // With takeover: zlib reads a window of 8 bits as 9 where it writes, so what a client made with 8 must be read
  // with 9.
  const int window_bits = agreement.client_takeover == ContextTakeover::No
                              ? kWindowBitsMax
                              : std::max<int>(agreement.client_window_bits, 9);
  if (!stream_) {
    stream_ = std::make_unique<Stream>(window_bits);
  } else if (agreement.client_takeover == ContextTakeover::No) {
    stream_->reset(window_bits);
  }
  stream_->final_blocks = 0;
  message_bytes_ = 0;
  if (message_.size() > kKeptRoomBytes) {
    message_ = std::string();
  }
  // Each message is inflated in the same steps: how damaged data ends must not depend on the room that others left.
  message_.resize(std::min(kFirstRoomBytes, bytes_max + 1));
  if (compressed.empty()) {
    return std::unexpected(kDamaged);  // Even an empty message takes a byte.
  }
  for (const std::string_view part : {compressed, kTail}) {
    if (const auto violation = append_inflated(part, bytes_max)) {
      return std::unexpected(*violation);
    }
    if (stream_->is_between_blocks()) {
      return std::string_view(message_).substr(0, message_bytes_);
    }
  }
  return std::unexpected(kDamaged);
}

std::optional<Violation> Inflater::append_inflated(std::string_view compressed, std::size_t bytes_max) {
  z_stream& zlib = stream_->zlib;
  zlib.next_in = input_of(compressed);
  zlib.avail_in = size_of(compressed.size());
  for (;;) {
    if (message_bytes_ == message_.size()) {
      message_.resize(std::min(std::max(2 * message_.size(), kFirstRoomBytes), bytes_max + 1));
    }
    zlib.next_out = reinterpret_cast<Bytef*>(message_.data() + message_bytes_);
    const std::size_t room_bytes = std::min(message_.size(), bytes_max + 1) - message_bytes_;
    zlib.avail_out = size_of(room_bytes);
    const int outcome = stream_->inflate();
    message_bytes_ += room_bytes - zlib.avail_out;
    if (message_bytes_ > bytes_max) {
      return kTooLong;
    }
    if (outcome == Z_STREAM_END) {
      // Allowed, if odd: RFC 7692 section 7.2.3.4. The rest, our tail at least, goes on after it.
      if (++stream_->final_blocks > kFinalBlocksMax) {
        return kDamaged;
      }
      stream_->start_again();
      if (zlib.avail_in == 0) {
        return std::nullopt;
      }
      continue;
    }
    if (outcome != Z_OK && outcome != Z_BUF_ERROR) {
      return kDamaged;
    }
    if (zlib.avail_in == 0 && zlib.avail_out > 0) {
      return std::nullopt;
    }
  }
}

class Deflater::Stream {
 public:
  Stream(int level, int bits) : window_bits(bits) {
    JAM_CHECK(::deflateInit2(&zlib, level, Z_DEFLATED, -bits, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { ::deflateEnd(&zlib); }

  z_stream zlib{};
  int window_bits;
};

Deflater::Deflater(int level) : level_(level), compressed_(own_room_) { JAM_CHECK(level >= 1 && level <= 9); }
Deflater::Deflater(std::string& room, int level) : level_(level), compressed_(room) {
  JAM_CHECK(level >= 1 && level <= 9);
}
Deflater::~Deflater() = default;

std::optional<std::string_view> Deflater::deflate(std::string_view message, const DeflateAgreement& agreement) {
  if (message.size() < kCompressBytesMin) {
    return std::nullopt;
  }
  if (!stream_ || stream_->window_bits != agreement.server_window_bits) {
    stream_ = std::make_unique<Stream>(level_, agreement.server_window_bits);
  } else if (agreement.server_takeover == ContextTakeover::No) {
    JAM_CHECK(::deflateReset(&stream_->zlib) == Z_OK);
  }
  z_stream& zlib = stream_->zlib;
  if (compressed_.size() > kKeptRoomBytes) {
    compressed_ = std::string();
  }
  // Enough for any message, the tail included, so that one call does it.
  compressed_.resize(::deflateBound(&zlib, message.size()) + 16);
  zlib.next_in = input_of(message);
  zlib.avail_in = size_of(message.size());
  zlib.next_out = reinterpret_cast<Bytef*>(compressed_.data());
  zlib.avail_out = size_of(compressed_.size());
  JAM_CHECK(::deflate(&zlib, Z_SYNC_FLUSH) == Z_OK);
  JAM_CHECK(zlib.avail_in == 0 && zlib.avail_out > 0);
  const std::string_view compressed(compressed_.data(), compressed_.size() - zlib.avail_out);
  JAM_CHECK(compressed.ends_with(kTail));
  const bool is_smaller = compressed.size() - kTail.size() < message.size();
  // With takeover the window holds this message now, so it must be sent as it is: the peer's must hold it too.
  if (!is_smaller && agreement.server_takeover == ContextTakeover::No) {
    return std::nullopt;
  }
  return compressed.substr(0, compressed.size() - kTail.size());
}

// From zlib's own account of its memory (zconf.h), rounded up for its state.
std::size_t inflater_bytes(const DeflateAgreement& agreement) {
  return (std::size_t{1} << agreement.client_window_bits) + (std::size_t{8} << 10U);
}

std::size_t deflater_bytes(const DeflateAgreement& agreement) {
  return (std::size_t{1} << (agreement.server_window_bits + 2U)) + (std::size_t{1} << (kMemoryLevel + 9U)) +
         (std::size_t{6} << 10U);
}

}  // namespace jamsocket::ws
