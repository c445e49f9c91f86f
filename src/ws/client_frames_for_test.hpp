// ws/client_frames_for_test.hpp
//
// For tests and fuzzers: frames as a client sends them, and all that a reader makes of some bytes.

#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ws/message_reader.hpp"

namespace jamsocket::ws::testing {

inline constexpr std::array<char, 4> kKey{'\x37', '\xfa', '\x21', '\x3d'};  // RFC 6455 section 5.7

/// A frame with any first byte, its length in the shortest form.
inline std::string client_frame(std::uint8_t first_byte, std::string_view payload, std::array<char, 4> key = kKey) {
  std::array<char, kServerHeaderBytesMax> head{};
  const std::size_t head_bytes = encode_frame_header(head.data(), Opcode::Text, payload.size());
  head[0] = static_cast<char>(first_byte);
  head[1] = static_cast<char>(static_cast<unsigned char>(head[1]) | 0x80U);
  std::string frame(head.data(), head_bytes);
  frame.append(key.data(), 4);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame += static_cast<char>(payload[i] ^ key[i % 4]);
  }
  return frame;
}

inline std::string text_frame(std::string_view payload) { return client_frame(0x81, payload); }

inline std::string close_body(std::uint16_t code, std::string_view reason = {}) {
  std::string body{static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  return body.append(reason);
}

/// A step that owns its payload.
struct Seen {
  StepKind kind = StepKind::NeedMore;
  std::uint16_t code = 0;
  std::string payload;
  friend bool operator==(const Seen&, const Seen&) = default;
};

/// Feeds one read to `reader` and appends its steps, NeedMore not among them.
inline void feed(MessageReader& reader, std::string read, const ReaderLimits& limits, std::vector<Seen>& seen,
                 const Inflation& inflation = {}) {
  std::span<char> input(read);
  for (;;) {
    const ReadStep step = reader.next(input, limits, inflation);
    if (step.kind == StepKind::NeedMore) {
      return;
    }
    seen.push_back({step.kind, step.code, std::string(step.payload)});
  }
}

/// What comes of `bytes` when each read brings `read_bytes` of them.
inline std::vector<Seen> read_in_pieces(std::string_view bytes, std::size_t read_bytes,
                                        const ReaderLimits& limits = {}) {
  MessageReader reader;
  std::vector<Seen> seen;
  for (std::size_t at = 0; at < bytes.size(); at += read_bytes) {
    feed(reader, std::string(bytes.substr(at, read_bytes)), limits, seen);
  }
  return seen;
}

inline std::vector<Seen> read_whole(std::string_view bytes, const ReaderLimits& limits = {}) {
  return read_in_pieces(bytes, bytes.size() + 1, limits);
}

}  // namespace jamsocket::ws::testing
