#include "ws/utf8.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/utf8.hpp"

namespace jamsocket::ws {
namespace {

using namespace std::string_literals;

// Feeds byte by byte; the index of the byte that was refused, or npos.
std::size_t refused_at(std::string_view text) {
  Utf8Stream stream;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!stream.feed(text.substr(i, 1))) {
      return i;
    }
  }
  return std::string_view::npos;
}

struct Bad {
  std::string text;
  std::size_t first_impossible_byte;
};

const std::vector<Bad> kBad = {
    {"\x80", 0},  // A continuation byte on its own.
    {"\xBF", 0},
    {"\xC0\xAF", 0},  // Overlong slash.
    {"\xC1\xBF", 0},
    {"\xE0\x80\xAF", 1},
    {"\xE0\x9F\xBF", 1},
    {"\xF0\x80\x80\xAF", 1},
    {"\xF0\x8F\xBF\xBF", 1},
    {"\xED\xA0\x80", 1},  // Surrogates.
    {"\xED\xBF\xBF", 1},
    {"\xF4\x90\x80\x80", 1},  // Beyond U+10FFFF.
    {"\xF5\x80\x80\x80", 0},
    {"\xF8\x88\x80\x80\x80", 0},
    {"\xFE", 0},
    {"\xFF", 0},
    {"\xC3(", 1},  // Not continued.
    {"\xE2\x82(", 2},
    {"\xE2(\xA1", 1},
    {"\xF0\x9F\x98(", 3},
    {"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80", 12},  // Known from conformance suites.
};

const std::vector<std::string> kGood = {
    "",
    "\0"s,
    "plain",
    "\u00e9\u00df",
    "\xC2\x80",          // U+0080, the first of two bytes,
    "\xDF\xBF",          // and the last.
    "\xE0\xA0\x80",      // U+0800.
    "\xED\x9F\xBF",      // U+D7FF, before the surrogates,
    "\xEE\x80\x80",      // U+E000, after them.
    "\xEF\xBF\xBF",      // U+FFFF.
    "\xF0\x90\x80\x80",  // U+10000.
    "\xF4\x8F\xBF\xBF",  // U+10FFFF.
    "\xEF\xBB\xBF",      // A byte order mark.
    "a\u20acb\U0001f600c\0d"s,
};

TEST(Utf8Stream, RefusesAtTheFirstImpossibleByte) {
  for (const Bad& row : kBad) {
    EXPECT_EQ(refused_at(row.text), row.first_impossible_byte);
    EXPECT_FALSE(is_utf8(row.text));
    // The same when all before it and the byte itself come in one piece, after a lot of good text.
    const std::string before = std::string(300, 'x') + row.text.substr(0, row.first_impossible_byte);
    Utf8Stream early;
    EXPECT_TRUE(early.feed(before));
    Utf8Stream stream;
    EXPECT_FALSE(stream.feed(before + row.text.substr(row.first_impossible_byte, 1)));
  }
}

TEST(Utf8Stream, TakesGoodTextHoweverItIsCut) {
  for (const std::string& text : kGood) {
    EXPECT_TRUE(is_utf8(text));
    for (std::size_t first = 0; first <= text.size(); ++first) {
      for (std::size_t second = first; second <= text.size(); ++second) {
        Utf8Stream stream;
        EXPECT_TRUE(stream.feed(std::string_view(text).substr(0, first)));
        EXPECT_TRUE(stream.feed(std::string_view(text).substr(first, second - first)));
        EXPECT_TRUE(stream.feed(std::string_view(text).substr(second)));
        EXPECT_TRUE(stream.complete());
      }
    }
  }
}

TEST(Utf8Stream, KnowsWhenACharacterIsNotComplete) {
  for (const std::string& text : {"\u00e9"s, "\u20ac"s, "\U0001f600"s}) {
    for (std::size_t bytes = 1; bytes < text.size(); ++bytes) {
      Utf8Stream stream;
      EXPECT_TRUE(stream.feed("x" + text.substr(0, bytes)));
      EXPECT_FALSE(stream.complete());
      EXPECT_FALSE(is_utf8(text.substr(0, bytes)));
    }
  }
}

// Goal: all 2^16 pairs of bytes are judged alike by the stream and by the whole check.
TEST(Utf8Stream, AgreesWithTheWholeCheckOnEveryPair) {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string pair{static_cast<char>(first), static_cast<char>(second)};
      Utf8Stream stream;
      const bool fed = stream.feed(pair.substr(0, 1)) && stream.feed(pair.substr(1));
      ASSERT_EQ(fed && stream.complete(), is_utf8(pair)) << first << ' ' << second;
    }
  }
}

}  // namespace
}  // namespace jamsocket::ws
