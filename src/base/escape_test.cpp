#include <gtest/gtest.h>

#include "base/log.hpp"

namespace jamsocket {
namespace {

TEST(EscapeForLog, LeavesPlainTextAlone) {
  EXPECT_EQ(escape_for_log("room 1, caf\u00e9, \u65e5\u672c"), "room 1, caf\u00e9, \u65e5\u672c");
}

TEST(EscapeForLog, KeepsALineOneLine) {
  EXPECT_EQ(escape_for_log("a\n{\"level\":\"info\"}\x1b[2J"), "a\\n{\\\"level\\\":\\\"info\\\"}\\u001b[2J");
  EXPECT_EQ(escape_for_log("a\u2028b\u202eb\u200b"), "a\\u2028b\\u202eb\\u200b");
}

TEST(EscapeForLog, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(escape_for_log("a\xff\xc0\xaf"), "a\\xff\\xc0\\xaf");
  EXPECT_EQ(escape_for_log("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escape_for_log("\xe2\x82"), "\\xe2\\x82");
}

TEST(EscapeForLog, IsBounded) {
  EXPECT_EQ(escape_for_log(std::string(1000, 'x'), 10), "xxxxxxxxxx...");
  EXPECT_EQ(escape_for_log(std::string(10, 'x'), 10), "xxxxxxxxxx");
}

}  // namespace
}  // namespace jamsocket
