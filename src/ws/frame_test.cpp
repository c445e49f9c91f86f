#include "ws/frame.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "ws/close_code.hpp"

namespace jamsocket::ws {
namespace {

using namespace std::string_literals;

constexpr FrameRules kRules{.data_bytes_max = std::uint64_t{1} << 20U};

// RFC 6455 section 5.7: "a single-frame masked text message", contains "Hello".
TEST(FrameHeader, ReadsTheMaskedExampleOfTheRfc) {
  std::string bytes = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s;
  const auto header = parse_frame_header(bytes, kRules);
  ASSERT_TRUE(header.has_value() && header->has_value());
  EXPECT_EQ((*header)->opcode, Opcode::Text);
  EXPECT_TRUE((*header)->fin);
  EXPECT_EQ((*header)->payload_bytes, 5U);
  EXPECT_EQ((*header)->header_bytes, 6U);
  EXPECT_TRUE(unmask(std::span(bytes).subspan(6), (*header)->mask));
  EXPECT_EQ(bytes.substr(6), "Hello");
}

struct Refused {
  const char* what;
  std::string bytes;  ///< The last of them is the one that shows it.
  std::uint16_t code;
  FrameRules rules = kRules;
};

// Goal: each rule is held at the first byte that shows it. Method: the whole bytes are refused, all but the last
// are not.
TEST(FrameHeader, RefusesAtTheFirstByteThatShowsIt) {
  constexpr FrameRules kInside{.data_bytes_max = 100, .inside_message = true};
  constexpr FrameRules kDeflate{.data_bytes_max = 100, .rsv1_allowed = true};
  constexpr FrameRules kDeflateInside{.data_bytes_max = 100, .inside_message = true, .rsv1_allowed = true};
  const std::vector<Refused> table = {
      {"RSV1 without compression (5.2)", "\xC1", 1002},
      {"RSV2", "\xA1", 1002},
      {"RSV3", "\x91", 1002},
      {"RSV2 with compression", "\xE1", 1002, kDeflate},
      {"RSV1 on a control frame (RFC 7692 6.1)", "\xC9", 1002, kDeflate},
      {"RSV1 on a continuation (RFC 7692 6.1)", "\xC0", 1002, kDeflateInside},
      {"opcode 3", "\x83", 1002},
      {"opcode 4", "\x84", 1002},
      {"opcode 5", "\x85", 1002},
      {"opcode 6", "\x86", 1002},
      {"opcode 7", "\x87", 1002},
      {"opcode B", "\x8B", 1002},
      {"opcode C", "\x8C", 1002},
      {"opcode D", "\x8D", 1002},
      {"opcode E", "\x8E", 1002},
      {"opcode F", "\x8F", 1002},
      {"fragmented ping (5.5)", "\x09", 1002},
      {"fragmented pong", "\x0A", 1002},
      {"fragmented close", "\x08", 1002},
      {"continuation first (5.4)", "\x80", 1002},
      {"text inside a message (5.4)", "\x81", 1002, kInside},
      {"binary inside a message", "\x02", 1002, kInside},
      {"no mask (5.1)", "\x81\x05", 1002},
      {"no mask, empty", "\x81"s + '\0', 1002},
      {"ping of 126 bytes (5.5)", "\x89\xFE", 1002},
      {"close of 127-form", "\x88\xFF", 1002},
      {"125 in two bytes (5.2)", "\x81\xFE\x00\x7D"s, 1002},
      {"0 in two bytes", "\x81\xFE\x00\x00"s, 1002},
      {"65535 in eight bytes", "\x81\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF"s, 1002},
      {"top bit set", "\x82\xFF\x80\x00\x00\x00\x00\x01\x00\x00"s, 1002},
      {"2^64-1", "\x82\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s, 1002},
      {"2^63-1", "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s, 1009},
      {"2^62", "\x82\xFF\x40\x00\x00\x00\x00\x00\x00\x00"s, 1009},
      {"2^32", "\x82\xFF\x00\x00\x00\x01\x00\x00\x00\x00"s, 1009},
      {"2^31", "\x82\xFF\x00\x00\x00\x00\x80\x00\x00\x00"s, 1009},
      {"2^31-1", "\x82\xFF\x00\x00\x00\x00\x7F\xFF\xFF\xFF"s, 1009},
      {"limit + 1", "\x82\xFF\x00\x00\x00\x00\x00\x10\x00\x01"s, 1009},
      {"limit + 1, one byte", "\x82\xE5", 1009, {.data_bytes_max = 100}},
  };
  for (const Refused& row : table) {
    const auto whole = parse_frame_header(row.bytes, row.rules);
    ASSERT_FALSE(whole.has_value()) << row.what;
    EXPECT_EQ(whole.error().close_code, row.code) << row.what;
    // For the lengths, the byte that shows it is the last one only.
    const auto before = parse_frame_header(std::string_view(row.bytes).substr(0, row.bytes.size() - 1), row.rules);
    ASSERT_TRUE(before.has_value()) << row.what;
    EXPECT_FALSE(before->has_value()) << row.what;
  }
}

struct Accepted {
  std::string bytes;
  std::uint64_t payload_bytes;
};

TEST(FrameHeader, ReadsEachFormOfLengthAtItsEdges) {
  const std::vector<Accepted> table = {
      {"\x82\x80zzzz"s, 0},
      {"\x82\xFDzzzz"s, 125},
      {"\x82\xFE\x00\x7Ezzzz"s, 126},
      {"\x82\xFE\xFF\xFFzzzz"s, 65535},
      {"\x82\xFF\x00\x00\x00\x00\x00\x01\x00\x00zzzz"s, 65536},
      {"\x82\xFF\x00\x00\x00\x00\x00\x10\x00\x00zzzz"s, 1048576},
  };
  for (const Accepted& row : table) {
    for (std::size_t bytes = 0; bytes < row.bytes.size(); ++bytes) {
      const auto short_of_it = parse_frame_header(std::string_view(row.bytes).substr(0, bytes), kRules);
      ASSERT_TRUE(short_of_it.has_value());
      EXPECT_FALSE(short_of_it->has_value());
    }
    const auto header = parse_frame_header(row.bytes + "payload", kRules);
    ASSERT_TRUE(header.has_value() && header->has_value());
    EXPECT_EQ((*header)->payload_bytes, row.payload_bytes);
    EXPECT_EQ((*header)->header_bytes, row.bytes.size());
  }
}

TEST(FrameHeader, LimitsOfDataDoNotBindControlFrames) {
  const auto header = parse_frame_header("\x89\x85zzzz"s, {.data_bytes_max = 0});
  ASSERT_TRUE(header.has_value());
  EXPECT_TRUE(header->has_value());
}

// Goal: every length and phase, so every path of the word loops. Method: against one byte at a time.
TEST(Unmask, EqualsTheDefinitionForEveryLengthAndPhase) {
  const std::array<char, 4> key{'\x11', '\xA2', '\x73', '\xF4'};
  std::uint32_t mask = 0;
  std::memcpy(&mask, key.data(), 4);
  for (std::size_t bytes = 0; bytes < 100; ++bytes) {
    for (std::size_t phase = 0; phase < 5; ++phase) {
      std::string data;
      std::string expected;
      for (std::size_t i = 0; i < bytes; ++i) {
        data += static_cast<char>(i * 7);
        expected += static_cast<char>(data[i] ^ key[(i + phase) % 4]);
      }
      unmask(data, mask, phase);
      EXPECT_EQ(data, expected) << bytes << " bytes, phase " << phase;
    }
  }
}

TEST(Unmask, TellsWhetherAllIsAscii) {
  for (std::size_t bytes = 0; bytes < 80; ++bytes) {
    std::string plain(bytes, 'a');
    EXPECT_TRUE(unmask(plain, 0));
    for (std::size_t at = 0; at < bytes; ++at) {
      std::string marked = plain;
      marked[at] = '\x80';
      EXPECT_FALSE(unmask(marked, 0)) << at << " of " << bytes;
    }
  }
}

// RFC 6455 section 5.7: the unmasked examples.
TEST(EncodeFrame, WritesTheExamplesOfTheRfc) {
  EXPECT_EQ(encode_frame(Opcode::Text, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(encode_frame(Opcode::Ping, "Hello"), "\x89\x05Hello");
  EXPECT_EQ(encode_frame(Opcode::Binary, std::string(256, 'x')), "\x82\x7E\x01\x00"s + std::string(256, 'x'));
  EXPECT_EQ(encode_frame(Opcode::Binary, std::string(65536, 'x')).substr(0, 10),
            "\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST(EncodeFrame, UsesTheShortestLength) {
  std::array<char, kServerHeaderBytesMax> out{};
  EXPECT_EQ(encode_frame_header(out.data(), Opcode::Text, 125), 2U);
  EXPECT_EQ(encode_frame_header(out.data(), Opcode::Text, 126), 4U);
  EXPECT_EQ(encode_frame_header(out.data(), Opcode::Text, 65535), 4U);
  EXPECT_EQ(encode_frame_header(out.data(), Opcode::Text, 65536), 10U);
  EXPECT_EQ(encode_frame_header(out.data(), Opcode::Text, 1, Compressed::Yes), 2U);
  EXPECT_EQ(out[0], '\xC1');
}

TEST(EncodeCloseFrame, CutsReasonsBetweenCharacters) {
  EXPECT_EQ(encode_close_frame(std::nullopt), "\x88\x00"s);
  EXPECT_EQ(encode_close_frame(1000), "\x88\x02\x03\xE8"s);
  EXPECT_EQ(encode_close_frame(1002, "no"), "\x88\x04\x03\xEAno"s);
  EXPECT_EQ(encode_close_frame(1000, std::string(123, 'x')).size(), 127U);
  EXPECT_EQ(encode_close_frame(1000, std::string(124, 'x')).size(), 127U);
  const std::string across = std::string(122, 'x') + "\u00e9";  // Its last character spans the limit.
  EXPECT_EQ(encode_close_frame(1000, across), "\x88\x7C\x03\xE8"s + std::string(122, 'x'));
}

// RFC 6455 section 7.4.
TEST(CloseCode, MayBeReceivedIfItMayBeSent) {
  for (std::uint32_t code = 0; code <= 65535; ++code) {
    const bool allowed =
        (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code < 5000);
    EXPECT_EQ(close_code::may_be_received(static_cast<std::uint16_t>(code)), allowed) << code;
  }
}

}  // namespace
}  // namespace jamsocket::ws
