// wasm/byte_reader.hpp
//
// Reads WebAssembly's encodings from the front of a range of bytes. The first failure sticks: later
// reads give zeros, so that a caller checks once for a group of reads.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jamsocket::wasm {

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }

  std::uint8_t byte() {
    if (!ok_ || at_end()) {
      ok_ = false;
      return 0;
    }
    return static_cast<std::uint8_t>(bytes_[position_++]);
  }

  /// An unsigned LEB128 of at most 32 bits.
  std::uint32_t u32() { return static_cast<std::uint32_t>(unsigned_leb(32)); }
  std::uint64_t u64() { return unsigned_leb(64); }

  /// A signed LEB128 of at most `bits` bits is passed over; its value does not matter.
  void skip_signed(unsigned bits) {
    for (unsigned used = 0; used < bits; used += 7) {
      if ((byte() & 0x80U) == 0) {
        return;
      }
    }
    ok_ = false;
  }

  std::string_view take(std::size_t size) {
    if (!ok_ || size > remaining()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(position_, size);
    position_ += size;
    return taken;
  }

  /// A length and as many bytes.
  std::string_view name() { return take(u32()); }

 private:
  std::uint64_t unsigned_leb(unsigned bits) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
      const std::uint8_t next = byte();
      const std::uint64_t part = next & 0x7fU;
      if (shift + 7 > bits && (part >> (bits - shift)) != 0) {
        ok_ = false;
        return 0;
      }
      value |= part << shift;
      if ((next & 0x80U) == 0) {
        return ok_ ? value : 0;
      }
    }
    ok_ = false;
    return 0;
  }

  std::string_view bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace jamsocket::wasm
