#include "ws/message_reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ws/client_frames_for_test.hpp"

namespace jamsocket::ws {

// Printed by failing tests.
std::ostream& operator<<(std::ostream& out, const testing::Seen& seen) {
  return out << "kind " << static_cast<int>(seen.kind) << " code " << seen.code << " payload (" << seen.payload.size()
             << ") " << seen.payload.substr(0, 60);
}

namespace testing {
namespace {

using namespace std::string_literals;
using enum StepKind;
using AllSeen = std::vector<Seen>;

Seen text(std::string payload) { return {Text, 0, std::move(payload)}; }
Seen binary(std::string payload) { return {Binary, 0, std::move(payload)}; }

struct Story {
  const char* what;
  std::string bytes;
  AllSeen seen;  ///< Of a Failure, only the code counts.
};

void expect_story(const Story& story, std::size_t read_bytes, const ReaderLimits& limits = {}) {
  AllSeen seen = read_in_pieces(story.bytes, read_bytes, limits);
  for (Seen& step : seen) {
    if (step.kind == Failure) {
      EXPECT_FALSE(step.payload.empty()) << story.what;
      step.payload.clear();
    }
  }
  EXPECT_EQ(seen, story.seen) << story.what << ", " << read_bytes << " bytes a read";
}

void expect_stories(const std::vector<Story>& stories, const ReaderLimits& limits = {}) {
  for (const Story& story : stories) {
    for (std::size_t read_bytes = 1; read_bytes <= 20; ++read_bytes) {
      expect_story(story, read_bytes, limits);
    }
    expect_story(story, story.bytes.size() + 1, limits);
  }
}

TEST(MessageReader, ReadsWhatIsAllowed) {
  expect_stories({
      {"the masked example (5.7)", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, {text("Hello")}},
      {"empty text", text_frame(""), {text("")}},
      {"empty binary", client_frame(0x82, ""), {binary("")}},
      {"mask of zeros (5.3)", client_frame(0x81, "abc", {0, 0, 0, 0}), {text("abc")}},
      {"another mask for each frame",
       client_frame(0x81, "abc", {1, 2, 3, 4}) + client_frame(0x82, "def", {9, 8, 7, 6}),
       {text("abc"), binary("def")}},
      {"125 bytes", client_frame(0x82, std::string(125, 'x')), {binary(std::string(125, 'x'))}},
      {"126 bytes", client_frame(0x82, std::string(126, 'x')), {binary(std::string(126, 'x'))}},
      {"two fragments (5.4)", client_frame(0x01, "Hel") + client_frame(0x80, "lo"), {text("Hello")}},
      {"three fragments, one empty",
       client_frame(0x02, "a") + client_frame(0x00, "") + client_frame(0x80, "b"),
       {binary("ab")}},
      {"fragments, all empty", client_frame(0x01, "") + client_frame(0x00, "") + client_frame(0x80, ""), {text("")}},
      {"a ping between fragments (5.4)",
       client_frame(0x01, "Hel") + client_frame(0x89, "are you") + client_frame(0x80, "lo"),
       {{Ping, 0, "are you"}, text("Hello")}},
      {"pings around every fragment",
       client_frame(0x89, "1") + client_frame(0x01, "a") + client_frame(0x89, "2") + client_frame(0x00, "b") +
           client_frame(0x8A, "3") + client_frame(0x80, "c") + client_frame(0x89, ""),
       {{Ping, 0, "1"}, {Ping, 0, "2"}, {Pong, 0, "3"}, text("abc"), {Ping, 0, ""}}},
      {"ping of 125 bytes (5.5)", client_frame(0x89, std::string(125, 'p')), {{Ping, 0, std::string(125, 'p')}}},
      {"binary that is not UTF-8", client_frame(0x82, "\xFF\x80"), {binary("\xFF\x80")}},
      {"zero and U+10FFFF in text",
       text_frame("a\0b\xF4\x8F\xBF\xBF\xEF\xBF\xBF"s),
       {text("a\0b\xF4\x8F\xBF\xBF\xEF\xBF\xBF"s)}},
      {"an HTTP request as text", text_frame("GET / HTTP/1.1\r\n\r\n"), {text("GET / HTTP/1.1\r\n\r\n")}},
      {"close without a body (5.5.1)", client_frame(0x88, ""), {{Close, 0, ""}}},
      {"close with a code", client_frame(0x88, close_body(1000)), {{Close, 1000, ""}}},
      {"close with a reason", client_frame(0x88, close_body(4999, "caf\u00e9")), {{Close, 4999, "caf\u00e9"}}},
      {"close with the longest reason",
       client_frame(0x88, close_body(3000, std::string(123, 'r'))),
       {{Close, 3000, std::string(123, 'r')}}},
      {"close inside a message", client_frame(0x01, "a") + client_frame(0x88, close_body(1001)), {{Close, 1001, ""}}},
      {"nothing after a close counts", client_frame(0x88, "") + text_frame("late") + "\xFF\xFF", {{Close, 0, ""}}},
  });
}

TEST(MessageReader, RefusesWhatIsNot) {
  expect_stories({
      {"the frames before it are good",
       text_frame("one") + text_frame("two") + "\x83",
       {text("one"), text("two"), {Failure, 1002, ""}}},
      {"no mask", "\x81\x05Hello", {{Failure, 1002, ""}}},
      {"RSV1", "\xC1", {{Failure, 1002, ""}}},
      {"continuation of nothing", client_frame(0x80, "x"), {{Failure, 1002, ""}}},
      {"continuation after the message's end",
       client_frame(0x01, "a") + client_frame(0x80, "b") + client_frame(0x80, "c"),
       {text("ab"), {Failure, 1002, ""}}},
      {"text inside a message", client_frame(0x01, "a") + text_frame("b"), {{Failure, 1002, ""}}},
      {"binary inside a message", client_frame(0x01, "a") + client_frame(0x82, "b"), {{Failure, 1002, ""}}},
      {"ping of 126 bytes", client_frame(0x89, std::string(126, 'p')), {{Failure, 1002, ""}}},
      {"fragmented ping", client_frame(0x09, "p"), {{Failure, 1002, ""}}},
      {"close body of one byte (5.5.1)", client_frame(0x88, "x"), {{Failure, 1002, ""}}},
      {"close code 0", client_frame(0x88, close_body(0)), {{Failure, 1002, ""}}},
      {"close code 999", client_frame(0x88, close_body(999)), {{Failure, 1002, ""}}},
      {"close code 1004", client_frame(0x88, close_body(1004)), {{Failure, 1002, ""}}},
      {"close code 1005", client_frame(0x88, close_body(1005)), {{Failure, 1002, ""}}},
      {"close code 1006", client_frame(0x88, close_body(1006)), {{Failure, 1002, ""}}},
      {"close code 1015", client_frame(0x88, close_body(1015)), {{Failure, 1002, ""}}},
      {"close code 1016", client_frame(0x88, close_body(1016)), {{Failure, 1002, ""}}},
      {"close code 2999", client_frame(0x88, close_body(2999)), {{Failure, 1002, ""}}},
      {"close code 5000", client_frame(0x88, close_body(5000)), {{Failure, 1002, ""}}},
      {"close code 65535", client_frame(0x88, close_body(65535)), {{Failure, 1002, ""}}},
      {"close reason not UTF-8", client_frame(0x88, close_body(1000, "a\xFF")), {{Failure, 1007, ""}}},
      {"close reason cut inside a character", client_frame(0x88, close_body(1000, "\xE2\x82")), {{Failure, 1007, ""}}},
      {"text not UTF-8 (8.1)", text_frame("ab\xC0\xAF"), {{Failure, 1007, ""}}},
      {"text that ends inside a character", text_frame("\xE2\x82"), {{Failure, 1007, ""}}},
      {"long text not UTF-8", text_frame(std::string(1000, 'x') + "\xED\xA0\x80"), {{Failure, 1007, ""}}},
      {"a character's end never comes", client_frame(0x01, "\xE2\x82") + client_frame(0x80, ""), {{Failure, 1007, ""}}},
      {"surrogate over two fragments",
       client_frame(0x01, "\xED") + client_frame(0x80, "\xA0\x80"),
       {{Failure, 1007, ""}}},
      {"nothing after a failure counts", "\x83"s + text_frame("late"), {{Failure, 1002, ""}}},
  });
}

// RFC 6455 section 8.1, and as early as it can be told. Method: the frame never comes whole.
TEST(MessageReader, RefusesTextAtItsFirstImpossibleByte) {
  const std::string frame = client_frame(0x81, "good \xF4\x90" + std::string(100, 'x'));
  const std::size_t impossible = 6 + 7;  // Header, "good ", F4, 90.
  EXPECT_TRUE(read_whole(frame.substr(0, impossible - 1)).empty());
  ASSERT_EQ(read_whole(frame.substr(0, impossible)).size(), 1U);
  EXPECT_EQ(read_whole(frame.substr(0, impossible))[0].code, 1007);

  const std::string fragments = client_frame(0x01, "\xF4") + client_frame(0x00, "\x90....").substr(0, 7);
  ASSERT_EQ(read_whole(fragments).size(), 1U);
  EXPECT_EQ(read_whole(fragments)[0].code, 1007);

  const std::string close = client_frame(0x88, close_body(1000, "\xFF....")).substr(0, 6 + 3);
  ASSERT_EQ(read_whole(close).size(), 1U);
  EXPECT_EQ(read_whole(close)[0].code, 1007);
}

TEST(MessageReader, TakesCharactersCutAtEachPosition) {
  const std::string message = "k\u00f6\u20ac\U0001f600.";
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    const std::string bytes = client_frame(0x01, message.substr(0, cut)) + client_frame(0x80, message.substr(cut));
    for (std::size_t read_bytes = 1; read_bytes <= bytes.size(); ++read_bytes) {
      EXPECT_EQ(read_in_pieces(bytes, read_bytes), AllSeen{text(message)});
    }
  }
}

TEST(MessageReader, HoldsTheMessageLimitAtTheHeader) {
  constexpr ReaderLimits kLimits{.message_bytes_max = 1000};
  expect_stories(
      {
          {"at the limit", client_frame(0x82, std::string(1000, 'x')), {binary(std::string(1000, 'x'))}},
          {"one beyond, announced only",
           client_frame(0x82, std::string(1001, 'x')).substr(0, 4),
           {{Failure, 1009, ""}}},
          {"fragments up to the limit",
           client_frame(0x02, std::string(999, 'x')) + client_frame(0x00, "x") + client_frame(0x80, ""),
           {binary(std::string(1000, 'x'))}},
          {"fragments beyond it",
           client_frame(0x02, std::string(999, 'x')) + client_frame(0x80, "xx").substr(0, 2),
           {{Failure, 1009, ""}}},
          {"a ping is no part of it",
           client_frame(0x02, std::string(1000, 'x')) + client_frame(0x89, "p") + client_frame(0x80, ""),
           {{Ping, 0, "p"}, binary(std::string(1000, 'x'))}},
      },
      kLimits);
  constexpr ReaderLimits kTiny{.message_bytes_max = 3};
  expect_stories({{"short frames too", text_frame("abc") + text_frame("abcd"), {text("abc"), {Failure, 1009, ""}}}},
                 kTiny);
}

TEST(MessageReader, HoldsTheFragmentLimit) {
  constexpr ReaderLimits kLimits{.fragments_max = 3};
  expect_stories(
      {
          {"at the limit", client_frame(0x01, "a") + client_frame(0x00, "") + client_frame(0x80, "b"), {text("ab")}},
          {"one beyond",
           client_frame(0x01, "a") + client_frame(0x00, "") + client_frame(0x00, "") + client_frame(0x80, ""),
           {{Failure, 1008, ""}}},
          {"each message counts anew",
           client_frame(0x01, "a") + client_frame(0x80, "b") + client_frame(0x01, "c") + client_frame(0x80, "d"),
           {text("ab"), text("cd")}},
      },
      kLimits);
  std::string endless = client_frame(0x01, "");
  for (int i = 0; i < 5000; ++i) {
    endless += client_frame(0x00, "");
  }
  EXPECT_EQ(read_whole(endless).at(0).code, 1008);
}

TEST(MessageReader, TakesAWholeFrameWithoutCopyingOrKeepingAnything) {
  std::string bytes = text_frame("small") + client_frame(0x82, std::string(5000, 'x')) + client_frame(0x89, "p");
  std::span<char> input(bytes);
  MessageReader reader;
  for (int i = 0; i < 3; ++i) {
    const ReadStep step = reader.next(input, {});
    EXPECT_GE(step.payload.data(), bytes.data());
    EXPECT_LE(step.payload.data() + step.payload.size(), bytes.data() + bytes.size());
    EXPECT_EQ(reader.held_bytes(), 0U);
    EXPECT_FALSE(reader.mid_message());
  }
  EXPECT_TRUE(input.empty());
}

TEST(MessageReader, HoldsOnlyWhatIsIncomplete) {
  MessageReader reader;
  AllSeen seen;
  const std::string frame = text_frame("Hello");
  for (std::size_t bytes = 1; bytes < frame.size(); ++bytes) {
    feed(reader, frame.substr(bytes - 1, 1), {}, seen);
    EXPECT_TRUE(reader.mid_message()) << bytes;
    EXPECT_GT(reader.held_bytes(), 0U) << bytes;
  }
  feed(reader, frame.substr(frame.size() - 1), {}, seen);
  EXPECT_EQ(seen, AllSeen{text("Hello")});
  EXPECT_FALSE(reader.mid_message());
  EXPECT_EQ(reader.held_bytes(), 0U);
}

TEST(MessageReader, IsMidMessageBetweenFragments) {
  MessageReader reader;
  AllSeen seen;
  feed(reader, client_frame(0x01, "a"), {}, seen);
  EXPECT_TRUE(reader.mid_message());
  feed(reader, client_frame(0x89, "p"), {}, seen);
  EXPECT_TRUE(reader.mid_message());
  feed(reader, client_frame(0x80, "b"), {}, seen);
  EXPECT_FALSE(reader.mid_message());
}

// Goal: memory follows what came, not what was announced.
TEST(MessageReader, AllocatesNothingForAnAnnouncedLength) {
  constexpr ReaderLimits kLimits{.message_bytes_max = std::uint64_t{1} << 31U};
  MessageReader reader;
  AllSeen seen;
  const std::string header = "\x82\xFF\x00\x00\x00\x00\x40\x00\x00\x00zzzz"s;  // 1 GiB
  feed(reader, header + "0123456789", kLimits, seen);
  EXPECT_LT(reader.held_bytes(), 2000U);
  EXPECT_TRUE(reader.mid_message());
  feed(reader, std::string(100'000, 'x'), kLimits, seen);
  EXPECT_LT(reader.held_bytes(), 250'000U);
  EXPECT_TRUE(seen.empty());
}

TEST(MessageReader, ForgetsAllAtItsEnd) {
  MessageReader reader;
  AllSeen seen;
  feed(reader, client_frame(0x01, std::string(5000, 'x')) + client_frame(0x88, ""), {}, seen);
  EXPECT_EQ(seen, (AllSeen{{Close, 0, ""}}));
  EXPECT_FALSE(reader.mid_message());
  EXPECT_EQ(reader.held_bytes(), 0U);
  feed(reader, text_frame("late"), {}, seen);
  EXPECT_EQ(seen.size(), 1U);
}

// Goal: the lengths at which the header changes its form, each in one read and in many.
TEST(MessageReader, ReadsTheEdgesOfTheLengthForms) {
  for (const std::size_t bytes : {125U, 126U, 127U, 65535U, 65536U, 65537U}) {
    const std::string payload(bytes, 'y');
    const std::string frame = text_frame(payload);
    EXPECT_EQ(read_whole(frame), AllSeen{text(payload)});
    EXPECT_EQ(read_in_pieces(frame, 1000), AllSeen{text(payload)});
    EXPECT_EQ(read_in_pieces(frame + frame, frame.size() - 3), (AllSeen{text(payload), text(payload)}));
  }
}

TEST(MessageReader, ReadsTenThousandTinyFramesOfOneRead) {
  std::string bytes;
  for (int i = 0; i < 10'000; ++i) {
    bytes += text_frame("x");
  }
  EXPECT_EQ(read_whole(bytes), AllSeen(10'000, text("x")));
}

}  // namespace
}  // namespace testing
}  // namespace jamsocket::ws
