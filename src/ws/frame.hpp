// ws/frame.hpp
//
// One WebSocket frame: reading a client's header, writing a server's header, unmasking.
//
// Bytes in, values out; nothing here knows a socket or remembers anything.

#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/output.hpp"

namespace jamsocket::ws {

enum class Opcode : std::uint8_t { Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10 };

[[nodiscard]] constexpr bool is_control(Opcode opcode) { return static_cast<std::uint8_t>(opcode) >= 8; }

/// How a peer broke the protocol: what to close with, and why in a few words.
struct Violation {
  std::uint16_t close_code = 0;
  const char* reason = "";  ///< Static; ASCII, short enough for a Close frame.
  friend bool operator==(const Violation&, const Violation&) = default;
};

struct FrameHeader {
  std::uint64_t payload_bytes = 0;
  std::uint32_t mask = 0;  ///< The four key bytes in the order received, as if copied by memcpy.
  std::uint8_t header_bytes = 0;
  Opcode opcode = Opcode::Continuation;
  bool fin = false;
  bool rsv1 = false;
};

/// What the next frame may be, given what came before it.
struct FrameRules {
  std::uint64_t data_bytes_max = 0;        ///< Payload of a data frame. Beyond: 1009.
  bool inside_message = false;             ///< A fragmented message is open.
  bool rsv1_allowed = false;               ///< permessage-deflate was negotiated.
  std::uint64_t compressed_bytes_max = 0;  ///< Payload of a frame that begins a compressed message. Beyond: 1009.
};

inline constexpr std::size_t kClientHeaderBytesMax = 14;
inline constexpr std::size_t kServerHeaderBytesMax = 10;
inline constexpr std::size_t kControlBytesMax = 125;
inline constexpr std::size_t kCloseReasonBytesMax = kControlBytesMax - 2;

/// Reads a client's header from the front of `input`, which may hold less than it or more than the frame.
///
/// Everything is refused at the earliest byte that shows it: an unknown opcode at the first, a missing
/// mask at the second, a length beyond the limit before the mask key has come.
///
/// @return the header, or nullopt while `input` is too short and nothing is wrong so far.
/// @error 1002  RSV bits, unknown opcode, no mask, length not in its shortest form or with its top bit
///              set, control frame fragmented or longer than 125, continuation without a message or a new
///              message inside one.
/// @error 1009  data payload above `rules.data_bytes_max`.
/// @source RFC 6455 sections 5.1, 5.2, 5.4, 5.5
[[nodiscard]] std::expected<std::optional<FrameHeader>, Violation> parse_frame_header(std::span<const char> input,
                                                                                      const FrameRules& rules);

/// Applies a client's mask in place. `phase` is how many payload bytes of the frame came before `data`.
/// @return true if every byte, unmasked, is ASCII: known at no cost, and it settles UTF-8 for most text.
/// @source RFC 6455 section 5.3
bool unmask(std::span<char> data, std::uint32_t mask, std::uint64_t phase = 0);

enum class Compressed : std::uint8_t { No, Yes };

/// How long the header of a whole, unmasked frame is: 2, 4 or 10.
/// @source RFC 6455 section 5.2
[[nodiscard]] constexpr std::size_t server_header_bytes(std::uint64_t payload_bytes) {
  return payload_bytes < 126 ? 2 : payload_bytes <= 0xFFFF ? 4 : kServerHeaderBytesMax;
}

/// Writes the header of a whole, unmasked frame.
/// @param out  room for kServerHeaderBytesMax bytes.
/// @return how many bytes it took: 2, 4 or 10.
/// @source RFC 6455 section 5.2; for `compressed`, RFC 7692 section 6
std::size_t encode_frame_header(char* out, Opcode opcode, std::uint64_t payload_bytes,
                                Compressed compressed = Compressed::No);

/// Appends a message as one whole, unmasked frame.
/// @source RFC 6455 section 5.2; for `compressed`, RFC 7692 section 6
[[nodiscard]] Slice append_frame(OutputArena& arena, MessageKind kind, std::string_view payload, Compressed compressed);
[[nodiscard]] Slice append_frame(OutputArena& arena, MessageKind kind, std::string_view payload);

/// A whole frame as bytes. For data, prefer encode_frame_header and no copy.
[[nodiscard]] std::string encode_frame(Opcode opcode, std::string_view payload);

/// A whole Close frame. A reason longer than 123 bytes is cut between two characters.
/// @param code  what may be on the wire; nullopt for a frame without a body.
[[nodiscard]] std::string encode_close_frame(std::optional<std::uint16_t> code, std::string_view reason = {});

}  // namespace jamsocket::ws
