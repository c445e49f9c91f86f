#include "ws/frame.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "base/check.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::ws {
namespace {

using close_code::kProtocolError;
using close_code::kTooBig;

std::uint8_t byte_at(std::span<const char> input, std::size_t index) { return static_cast<std::uint8_t>(input[index]); }

std::uint64_t big_endian(std::span<const char> bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) {
    value = (value << 8U) | static_cast<std::uint8_t>(byte);
  }
  return value;
}

bool is_known(std::uint8_t opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

// What the first byte alone can show.
std::optional<Violation> check_first_byte(std::uint8_t first, const FrameRules& rules) {
  const std::uint8_t opcode = first & 0x0FU;
  const bool fin = (first & 0x80U) != 0;
  if ((first & 0x30U) != 0) {
    return Violation{kProtocolError, "a reserved bit is set"};
  }
  if (!is_known(opcode)) {
    return Violation{kProtocolError, "unknown opcode"};
  }
  if ((first & 0x40U) != 0 && !(rules.rsv1_allowed && (opcode == 1 || opcode == 2))) {
    return Violation{kProtocolError, rules.rsv1_allowed ? "compression bit on a frame that does not start a message"
                                                        : "compressed frame without negotiated compression"};
  }
  if (opcode >= 8) {
    return fin ? std::nullopt : std::optional(Violation{kProtocolError, "fragmented control frame"});
  }
  if (opcode == 0 && !rules.inside_message) {
    return Violation{kProtocolError, "continuation of no message"};
  }
  if (opcode != 0 && rules.inside_message) {
    return Violation{kProtocolError, "new message inside a fragmented one"};
  }
  return std::nullopt;
}

std::optional<Violation> check_length(const FrameHeader& header, std::uint8_t short_length, const FrameRules& rules) {
  const std::uint64_t length = header.payload_bytes;
  if (short_length == 127 && (length >> 63U) != 0) {
    return Violation{kProtocolError, "length with its top bit set"};
  }
  if ((short_length == 126 && length < 126) || (short_length == 127 && length <= 0xFFFF)) {
    return Violation{kProtocolError, "length not in its shortest form"};
  }
  if (!is_control(header.opcode) && length > (header.rsv1 ? rules.compressed_bytes_max : rules.data_bytes_max)) {
    return Violation{kTooBig, "message too big"};
  }
  return std::nullopt;
}

// One of the processor's vector registers, on those of its kind that lack the wider ones, too.
using WordPair __attribute__((vector_size(16))) = std::uint64_t;

// @return what was unmasked.
template <class Words>
Words unmask_front(char* at, Words mask) {
  Words words;
  std::memcpy(&words, at, sizeof words);
  words ^= mask;
  std::memcpy(at, &words, sizeof words);
  return words;
}

}  // namespace

std::expected<std::optional<FrameHeader>, Violation> parse_frame_header(std::span<const char> input,
                                                                        const FrameRules& rules) {
  if (input.empty()) {
    return std::nullopt;
  }
  const std::uint8_t first = byte_at(input, 0);
  if (const auto violation = check_first_byte(first, rules)) {
    return std::unexpected(*violation);
  }
  if (input.size() < 2) {
    return std::nullopt;
  }
  const std::uint8_t second = byte_at(input, 1);
  const std::uint8_t short_length = second & 0x7FU;
  FrameHeader header;
  header.opcode = static_cast<Opcode>(first & 0x0FU);
  header.fin = (first & 0x80U) != 0;
  header.rsv1 = (first & 0x40U) != 0;
  if ((second & 0x80U) == 0) {
    return std::unexpected(Violation{kProtocolError, "client frame without a mask"});
  }
  if (is_control(header.opcode) && short_length > kControlBytesMax) {
    return std::unexpected(Violation{kProtocolError, "control frame longer than 125 bytes"});
  }
  const std::size_t extra = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
  if (input.size() < 2 + extra) {
    return std::nullopt;
  }
  header.payload_bytes = extra == 0 ? short_length : big_endian(input.subspan(2, extra));
  if (const auto violation = check_length(header, short_length, rules)) {
    return std::unexpected(*violation);
  }
  header.header_bytes = static_cast<std::uint8_t>(2 + extra + 4);
  if (input.size() < header.header_bytes) {
    return std::nullopt;
  }
  std::memcpy(&header.mask, input.data() + 2 + extra, 4);
  return header;
}

bool unmask(std::span<char> data, std::uint32_t mask, std::uint64_t phase) {
  // Turn the key so that its first byte belongs to the first byte of `data`.
  const auto turn = static_cast<int>(8 * (phase & 3U));
  mask = std::endian::native == std::endian::little ? std::rotr(mask, turn) : std::rotl(mask, turn);
  char* at = data.data();
  std::size_t left = data.size();
  const std::uint64_t word = (std::uint64_t{mask} << 32U) | mask;
  const WordPair pair{word, word};
  WordPair seen_pairs{};
  for (; left >= 2 * sizeof pair; left -= 2 * sizeof pair, at += 2 * sizeof pair) {
    seen_pairs |= unmask_front(at, pair) | unmask_front(at + sizeof pair, pair);
  }
  std::uint64_t seen = seen_pairs[0] | seen_pairs[1];
  for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
    seen |= unmask_front(at, word);
  }
  std::array<char, 8> key{};
  std::memcpy(key.data(), &word, sizeof word);
  for (std::size_t i = 0; i < left; ++i) {
    at[i] = static_cast<char>(at[i] ^ key[i]);
    seen |= static_cast<std::uint8_t>(at[i]);
  }
  return (seen & 0x8080'8080'8080'8080ULL) == 0;
}

std::size_t encode_frame_header(char* out, Opcode opcode, std::uint64_t payload_bytes, Compressed compressed) {
  const unsigned first =
      0x80U | (compressed == Compressed::Yes ? 0x40U : 0U) | static_cast<unsigned>(static_cast<std::uint8_t>(opcode));
  out[0] = static_cast<char>(first);
  if (payload_bytes < 126) {
    out[1] = static_cast<char>(payload_bytes);
    return 2;
  }
  const bool is_wide = payload_bytes > 0xFFFF;
  out[1] = static_cast<char>(is_wide ? 127 : 126);
  const std::size_t extra = is_wide ? 8 : 2;
  for (std::size_t i = 0; i < extra; ++i) {
    out[2 + i] = static_cast<char>((payload_bytes >> (8 * (extra - 1 - i))) & 0xFFU);
  }
  return 2 + extra;
}

Slice append_frame(OutputArena& arena, MessageKind kind, std::string_view payload) {
  const unsigned opcode = kind == MessageKind::Text ? 1 : 2;
  if (payload.size() < 126) [[likely]] {
    const Slice frame = arena.reserve(2 + payload.size());
    char* const at = frame.data();
    at[0] = static_cast<char>(0x80U | opcode);
    at[1] = static_cast<char>(payload.size());
    if (!payload.empty()) {
      std::memcpy(at + 2, payload.data(), payload.size());
    }
    return frame;
  }
  return append_frame(arena, kind, payload, Compressed::No);
}

Slice append_frame(OutputArena& arena, MessageKind kind, std::string_view payload, Compressed compressed) {
  const std::size_t header_bytes = server_header_bytes(payload.size());
  const Slice frame = arena.reserve(header_bytes + payload.size());
  char* const at = frame.data();
  encode_frame_header(at, kind == MessageKind::Text ? Opcode::Text : Opcode::Binary, payload.size(), compressed);
  if (!payload.empty()) {
    std::memcpy(at + header_bytes, payload.data(), payload.size());
  }
  return frame;
}

std::string encode_frame(Opcode opcode, std::string_view payload) {
  std::array<char, kServerHeaderBytesMax> header{};
  const std::size_t header_bytes = encode_frame_header(header.data(), opcode, payload.size());
  std::string frame;
  frame.reserve(header_bytes + payload.size());
  frame.append(header.data(), header_bytes);
  frame.append(payload);
  return frame;
}

std::string encode_close_frame(std::optional<std::uint16_t> code, std::string_view reason) {
  std::string body;
  if (code) {
    JAM_CHECK(*code != close_code::kNoStatus && *code != close_code::kAbnormal && *code != 1015);
    if (reason.size() > kCloseReasonBytesMax) {
      std::size_t end = kCloseReasonBytesMax;
      while (end > 0 && (static_cast<std::uint8_t>(reason[end]) & 0xC0U) == 0x80U) {
        --end;
      }
      reason = reason.substr(0, end);
    }
    body.push_back(static_cast<char>(*code >> 8U));
    body.push_back(static_cast<char>(*code & 0xFFU));
    body.append(reason);
  }
  return encode_frame(Opcode::Close, body);
}

}  // namespace jamsocket::ws
