#include "config/bare_text.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace jamsocket::config {
namespace {

struct Case {
  std::string_view text;
  std::uint32_t line;  // 0: there is none.
  std::uint32_t column;
};

// Goal: strings and comments may hold anything, all else is ASCII. Method: é in each place, and right behind it.
TEST(BareText, IsEverythingOutsideOfStringsAndComments) {
  constexpr Case kCases[] = {
      {"", 0, 0},
      {"a = 1 # é\nb = 'é'\nc = \"é\"\n", 0, 0},
      {"é = 1", 1, 1},
      {"a = \"é\" é", 1, 9},
      {"a = 'é' é", 1, 9},
      {"a = 1 # é\né", 2, 1},
      {"a = \"\" é", 1, 8},
      {"a = \"\\\" é\" é", 1, 12},
      {"a = '\\' é", 1, 9},
      {"a = \"\"\"\né \"\" é\"\"\" é", 2, 11},
      {"a = '''\né '' é''' é", 2, 11},
      {"a = \"\"\"é\"\"\"\"\" é", 1, 14},
      {"a = \"not closed é\né", 2, 1},
      {"a = \"é", 0, 0},
      {"a = \"\"\"é", 0, 0},
      {"a = \"\\", 0, 0},
      {"\xEF\xBB\xAF", 1, 1},
      {"a\x80", 1, 2},
  };
  for (const Case& one : kCases) {
    const auto place = find_bare_non_ascii(one.text);
    EXPECT_EQ(place ? place->line : 0, one.line) << one.text;
    EXPECT_EQ(place ? place->column : 0, one.column) << one.text;
  }
}

}  // namespace
}  // namespace jamsocket::config
