#include "ws/deflate.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "ws/client_frames_for_test.hpp"

namespace jamsocket::ws {
namespace {

using namespace std::string_literals;
using enum StepKind;
using testing::client_frame;
using testing::Seen;

constexpr DeflateAgreement kAlone{};
constexpr DeflateAgreement kTakeover{.server_takeover = ContextTakeover::Yes, .client_takeover = ContextTakeover::Yes};
constexpr std::size_t kMany = std::size_t{1} << 20U;

// RFC 7692 section 7.2.3: "Hello", and "Hello" again with the first one as context.
const std::string kHello = "\xf2\x48\xcd\xc9\xc9\x07\x00"s;
const std::string kHelloAgain = "\xf2\x00\x11\x00\x00"s;
const std::string kHelloStored = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s;
const std::string kHelloFinal = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s;
const std::string kHelloTwoBlocks = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s;

// Text that compresses somewhat, the same every time.
std::string words(std::size_t bytes) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < bytes) {
    state = state * 1664525U + 1013904223U;
    text += std::to_string(state >> 22U) + " and ";
  }
  text.resize(bytes);
  return text;
}

std::string noise(std::size_t bytes) {
  std::string text;
  std::uint32_t state = 7;
  while (text.size() < bytes) {
    state = state * 1664525U + 1013904223U;
    text += static_cast<char>(state >> 24U);
  }
  return text;
}

std::string deflated(std::string_view message, const DeflateAgreement& agreement = kAlone) {
  Deflater deflater;
  const auto compressed = deflater.deflate(message, agreement);
  EXPECT_TRUE(compressed.has_value());
  return std::string(compressed.value_or(""));
}

TEST(Inflater, ReadsTheExamplesOfTheRfc) {
  Inflater inflater;
  EXPECT_EQ(inflater.inflate(kHello, kMany, kAlone), "Hello");
  EXPECT_EQ(inflater.inflate(kHelloStored, kMany, kAlone), "Hello");
  EXPECT_EQ(inflater.inflate(kHelloFinal, kMany, kAlone), "Hello");
  EXPECT_EQ(inflater.inflate(kHelloTwoBlocks, kMany, kAlone), "Hello");
}

TEST(Inflater, ReadsEmptyMessagesAndTailsLeftOn) {
  Inflater inflater;
  EXPECT_EQ(inflater.inflate("\x00"s, kMany, kAlone), "");
  EXPECT_EQ(inflater.inflate("\x02\x00"s, kMany, kAlone), "");
  EXPECT_EQ(inflater.inflate(kHello + "\x00\x00\xff\xff"s, kMany, kAlone), "Hello");
  EXPECT_EQ(inflater.inflate(kHelloFinal.substr(0, kHelloFinal.size() - 1), kMany, kAlone), "Hello");
}

TEST(Inflater, TakesTheContextOverOnlyIfAgreed) {
  Inflater own;
  EXPECT_EQ(own.inflate(kHello, kMany, kTakeover), "Hello");
  EXPECT_EQ(own.inflate(kHelloAgain, kMany, kTakeover), "Hello");
  Inflater shared;
  EXPECT_EQ(shared.inflate(kHello, kMany, kAlone), "Hello");
  const auto refused = shared.inflate(kHelloAgain, kMany, kAlone);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().close_code, 1007);
  EXPECT_EQ(shared.inflate(kHello, kMany, kAlone), "Hello");
}

TEST(Inflater, RefusesDamagedData) {
  const std::string good = deflated(words(2000));
  std::string far = kHelloAgain;
  std::string many_finals;
  for (int i = 0; i < 100; ++i) {
    many_finals += "\x03\x00"s;
  }
  const std::vector<std::string> table = {
      "\x06"s,                                          // Block type 3.
      "\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"s,  // Stored length and its complement differ.
      far,                                              // Refers to before the beginning.
      "\x00\x05\x00\xfa\xff\x48\x65"s,                  // Stored block that ends early.
      "\xf2\x48\xcd"s,                                  // Ends inside a block.
      good.substr(0, good.size() / 2),
      "\x04\xff\xff\xff\xff\xff"s,  // Code lengths that are none.
      kHelloFinal + "\xff\xff"s,    // Garbage after a final block.
      many_finals,
      noise(1000),
  };
  Inflater inflater;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto refused = inflater.inflate(table[i], kMany, kAlone);
    ASSERT_FALSE(refused.has_value()) << "row " << i;
    EXPECT_EQ(refused.error().close_code, 1007) << "row " << i;
    EXPECT_EQ(inflater.inflate(kHello, kMany, kAlone), "Hello") << "row " << i;
  }
}

TEST(Inflater, HoldsTheLimitWhileItInflates) {
  Inflater inflater;
  const std::string bomb = deflated(std::string(std::size_t{64} << 20U, '\0'));
  EXPECT_LT(bomb.size(), 400'000U);
  const auto refused = inflater.inflate(bomb, kMany, kAlone);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().close_code, 1009);
  for (const std::size_t bytes : {std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, kMany - 1, kMany}) {
    const std::string message = words(bytes);
    EXPECT_EQ(inflater.inflate(deflated(message), bytes, kAlone), message) << bytes;
    EXPECT_EQ(inflater.inflate(deflated(message), bytes - 1, kAlone).error().close_code, 1009) << bytes;
  }
}

// What a message may refer to must not depend on what was inflated before it: a shared inflater keeps its buffer.
TEST(Inflater, ReadsAMessageThatReachesBehindItsWindowAlways) {
  DeflateAgreement wide;
  wide.server_window_bits = 15;
  DeflateAgreement narrow;
  narrow.client_window_bits = 9;
  const std::string message = noise(6000) + noise(6000);
  Deflater deflater(9);
  const std::string compressed(deflater.deflate(message, wide).value());
  Inflater fresh;
  EXPECT_EQ(fresh.inflate(compressed, kMany, narrow), message);
  Inflater used;
  EXPECT_TRUE(used.inflate(deflater.deflate(std::string(50'000, 'x'), wide).value(), kMany, narrow).has_value());
  EXPECT_EQ(used.inflate(compressed, kMany, narrow), message);
}

// fuzz/seeds/inflate/reaches-behind-the-window: how damaged data ends must not depend on the room that an earlier
// message left in a shared inflater's buffer.
TEST(Inflater, EndsDamagedDataTheSameWayWhateverCameBefore) {
  const std::string damaged = "\xf2\x48\xdd\xc9\xff\xff\xff\xdf\xff\xff\xff\xff"s + std::string(69, '\x15') +
                              std::string(24, '\xff') + "\xc9\x07\x00"s;
  Inflater fresh;
  const auto expected = fresh.inflate(damaged, 16'320, kAlone);
  for (const std::size_t before : {1U, 100U, 1'000U, 5'000U, 20'000U, 60'000U}) {
    Inflater used;
    std::ignore = used.inflate(deflated(words(std::max<std::size_t>(before, 600))), before, kAlone);
    const auto again = used.inflate(damaged, 16'320, kAlone);
    ASSERT_EQ(expected.has_value(), again.has_value()) << before;
    EXPECT_TRUE(expected ? *expected == *again : expected.error().close_code == again.error().close_code) << before;
  }
}

// Within one message zlib follows any reference that the message itself can answer; the window bounds what is
// kept from one message to the next.
TEST(Inflater, KeepsNoMoreThanTheWindow) {
  DeflateAgreement small = kTakeover;
  small.client_window_bits = 9;
  for (const DeflateAgreement& agreement : {kTakeover, small}) {
    Deflater deflater;
    Inflater inflater;
    const std::string first(*deflater.deflate(noise(2000), kTakeover));
    const std::string second(*deflater.deflate(noise(2000), kTakeover));  // A reference to the first.
    ASSERT_LT(second.size(), 200U);
    EXPECT_EQ(inflater.inflate(first, kMany, agreement), noise(2000));
    const auto message = inflater.inflate(second, kMany, agreement);
    EXPECT_EQ(message.has_value(), agreement == kTakeover);
    EXPECT_TRUE(message || message.error().close_code == 1007);
  }
}

TEST(Deflater, RoundTripsByEveryAgreement) {
  Inflater inflater;
  Deflater deflater;
  for (std::uint8_t bits = 9; bits <= 15; ++bits) {
    // What the server writes with its window, a reader of the same window must read.
    const DeflateAgreement agreement{.server_window_bits = bits, .client_window_bits = bits};
    for (const std::size_t bytes : {std::size_t{512}, std::size_t{5000}, std::size_t{100'000}}) {
      const std::string message = words(bytes);
      const auto compressed = deflater.deflate(message, agreement);
      ASSERT_TRUE(compressed.has_value()) << int{bits} << ' ' << bytes;
      EXPECT_LT(compressed->size(), bytes);
      EXPECT_EQ(inflater.inflate(*compressed, kMany, agreement), message) << int{bits} << ' ' << bytes;
    }
  }
}

TEST(Deflater, RoundTripsWithContexts) {
  Inflater inflater;
  Deflater deflater;
  const std::string message = words(2000);
  std::size_t first_bytes = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto compressed = deflater.deflate(message, kTakeover);
    ASSERT_TRUE(compressed.has_value());
    first_bytes = i == 0 ? compressed->size() : first_bytes;
    EXPECT_TRUE(i == 0 || compressed->size() * 10 < first_bytes);
    ASSERT_EQ(inflater.inflate(*compressed, kMany, kTakeover), message);
  }
  const std::string incompressible = noise(2000);
  const auto compressed = deflater.deflate(incompressible, kTakeover);
  ASSERT_TRUE(compressed.has_value());
  EXPECT_EQ(inflater.inflate(*compressed, kMany, kTakeover), incompressible);
}

TEST(Deflater, LeavesAloneWhatIsNotWorthIt) {
  Deflater deflater;
  EXPECT_FALSE(deflater.deflate(std::string(511, 'x'), kAlone).has_value());
  EXPECT_TRUE(deflater.deflate(std::string(512, 'x'), kAlone).has_value());
  EXPECT_FALSE(deflater.deflate(noise(5000), kAlone).has_value());
}

TEST(DeflateBytes, AreWhatTheWindowsCost) {
  EXPECT_GE(inflater_bytes(kTakeover), 32'768U);
  EXPECT_LE(inflater_bytes(kTakeover), 50'000U);
  EXPECT_GE(deflater_bytes(kTakeover), 262'144U);
  EXPECT_LT(deflater_bytes({.server_window_bits = 9}), 150'000U);
}

std::vector<Seen> read(const std::string& bytes, std::size_t read_bytes, const ReaderLimits& limits = {},
                       const DeflateAgreement& agreement = kAlone) {
  Inflater inflater;
  MessageReader reader;
  std::vector<Seen> seen;
  for (std::size_t at = 0; at < bytes.size(); at += read_bytes) {
    testing::feed(reader, bytes.substr(at, read_bytes), limits, seen, {.inflater = &inflater, .agreement = agreement});
  }
  for (Seen& step : seen) {
    if (step.kind == Failure) {
      step.payload.clear();
    }
  }
  EXPECT_EQ(reader.held_bytes(), 0U);
  return seen;
}

constexpr std::uint8_t kFinText = 0x81;
constexpr std::uint8_t kFinCompressedText = 0xC1;
constexpr std::uint8_t kCompressedText = 0x41;
constexpr std::uint8_t kCompressedBinary = 0x42;
constexpr std::uint8_t kFinContinuation = 0x80;

// Goal: frames, fragments and reads are cut anywhere; what comes out is the same.
TEST(MessageReaderWithDeflate, ReadsCompressedMessages) {
  struct Story {
    std::string bytes;
    std::vector<Seen> seen;
  };
  const std::vector<Story> stories = {
      {client_frame(kFinCompressedText, kHello), {{Text, 0, "Hello"}}},
      {client_frame(0xC2, kHello), {{Binary, 0, "Hello"}}},
      {client_frame(kFinCompressedText, ""), {{Failure, 1007, ""}}},
      {client_frame(kFinCompressedText, "\x00"s), {{Text, 0, ""}}},
      {client_frame(kFinCompressedText, kHello) + client_frame(kFinText, "plain") +
           client_frame(kFinCompressedText, kHello),
       {{Text, 0, "Hello"}, {Text, 0, "plain"}, {Text, 0, "Hello"}}},
      {client_frame(kCompressedText, kHello.substr(0, 3)) + client_frame(0x89, "p") +
           client_frame(kFinContinuation, kHello.substr(3)) + client_frame(0x01, "a") +
           client_frame(kFinContinuation, "b"),
       {{Ping, 0, "p"}, {Text, 0, "Hello"}, {Text, 0, "ab"}}},
      {client_frame(kCompressedText, "") + client_frame(0x00, kHello) + client_frame(kFinContinuation, ""),
       {{Text, 0, "Hello"}}},
      {client_frame(kFinCompressedText, deflated("\xff" + words(1000))), {{Failure, 1007, ""}}},
      {client_frame(0xC2, deflated("\xff" + words(1000))), {{Binary, 0, "\xff" + words(1000)}}},
      {client_frame(kFinCompressedText, "\x06"), {{Failure, 1007, ""}}},
      {client_frame(kFinCompressedText, kHelloAgain), {{Failure, 1007, ""}}},
      {client_frame(kCompressedText, kHello.substr(0, 3)) + "\xC0", {{Failure, 1002, ""}}},
      {"\xC9", {{Failure, 1002, ""}}},
      {"\xA1", {{Failure, 1002, ""}}},
  };
  for (const Story& story : stories) {
    for (std::size_t read_bytes = 1; read_bytes <= story.bytes.size(); read_bytes += 1 + read_bytes / 16) {
      EXPECT_EQ(read(story.bytes, read_bytes), story.seen) << story.bytes.size() << ' ' << read_bytes;
    }
    EXPECT_EQ(read(story.bytes, story.bytes.size()), story.seen);
  }
}

TEST(MessageReaderWithDeflate, TakesContextsOver) {
  const std::string bytes = client_frame(kFinCompressedText, kHello) + client_frame(kFinCompressedText, kHelloAgain);
  EXPECT_EQ(read(bytes, 3, {}, kTakeover), (std::vector<Seen>{{Text, 0, "Hello"}, {Text, 0, "Hello"}}));
}

TEST(MessageReaderWithDeflate, HoldsTheLimits) {
  constexpr ReaderLimits kLimits{.message_bytes_max = 1000, .fragments_max = 1024};
  const std::string at_limit = deflated(words(1000));
  const std::string beyond = deflated(words(1001));
  EXPECT_EQ(read(client_frame(kFinCompressedText, at_limit), 100, kLimits),
            (std::vector<Seen>{{Text, 0, words(1000)}}));
  EXPECT_EQ(read(client_frame(kFinCompressedText, beyond), 100, kLimits), (std::vector<Seen>{{Failure, 1009, ""}}));
  // Noise becomes longer by compression, and may still come.
  const std::string stored = "\x00\xe8\x03\x17\xfc"s + noise(1000) + "\x00"s;
  EXPECT_EQ(read(client_frame(0xC2, stored), 100, kLimits), (std::vector<Seen>{{Binary, 0, noise(1000)}}));
  EXPECT_EQ(read(client_frame(0xC2, std::string(1080, 'x')).substr(0, 4), 100, kLimits),
            (std::vector<Seen>{{Failure, 1009, ""}}));
  EXPECT_EQ(read(client_frame(kCompressedBinary, std::string(1079, 'x')) + client_frame(0x80, "x").substr(0, 2), 100,
                 kLimits),
            (std::vector<Seen>{{Failure, 1009, ""}}));
}

// The bomb of 64 MiB, over a thousand fragments.
TEST(MessageReaderWithDeflate, SurvivesABombInFragments) {
  const std::string bomb = deflated(std::string(std::size_t{64} << 20U, '\0'));
  std::string bytes = client_frame(kCompressedBinary, "");
  const std::size_t piece = bomb.size() / 998;
  for (std::size_t at = 0; at < bomb.size(); at += piece) {
    const bool is_last = at + piece >= bomb.size();
    bytes += client_frame(is_last ? 0x80 : 0x00, bomb.substr(at, piece));
  }
  EXPECT_EQ(read(bytes, 65536), (std::vector<Seen>{{Failure, 1009, ""}}));
}

}  // namespace
}  // namespace jamsocket::ws
