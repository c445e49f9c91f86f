#include "http/target.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jamsocket::http {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;

TEST(DecodeRoomId, TakesAnyTextOnceDecoded) {
  struct Row {
    std::string segment;
    std::string id;
  };
  const std::vector<Row> table = {
      {"1", "1"},
      {"Room", "Room"},
      {"room", "room"},
      {"a%20b", "a b"},
      {"a+b", "a+b"},
      {"caf%C3%A9", "caf\u00e9"},
      {"cafe%cc%81", "cafe\u0301"},  // Not the same room as the line above.
      {"a%2Fb", "a/b"},
      {"a.b", "a.b"},
      {"..%2f..%2fetc%2fpasswd", "../../etc/passwd"},
      {"%2e%2e%2e", "..."},
      {".x", ".x"},
      {"%252e", "%2e"},
      {"%25", "%"},
      {"CON", "CON"},
      {"-rf", "-rf"},
      {"$(id)", "$(id)"},
      {"'; DROP TABLE", "'; DROP TABLE"},
      {"{{7*7}}", "{{7*7}}"},
      {"__proto__", "__proto__"},
      {"%e2%80%ae%e2%80%8b", "\u202e\u200b"},
      {"%F4%8F%BF%BF", "\U0010FFFF"},
      {"%C2%A0", "\u00a0"},
      {std::string(256, 'x'), std::string(256, 'x')},
  };
  for (const Row& row : table) {
    const auto id = decode_room_id(row.segment);
    ASSERT_TRUE(id.has_value()) << row.segment << ": " << id.error().message;
    EXPECT_EQ(*id, row.id);
  }
  std::string encoded;
  for (int i = 0; i < 256; ++i) {
    encoded += "%78";
  }
  EXPECT_EQ(decode_room_id(encoded), std::string(256, 'x'));
}

TEST(DecodeRoomId, SaysWhatIsWrong) {
  struct Row {
    std::string segment;
    std::string what;
  };
  const std::vector<Row> table = {
      {"", "is empty"},
      {"/", "slash"},
      {"a/b", "slash"},
      {"a/", "slash"},
      {".", "\".\""},
      {"..", "\".\""},
      {"%2e%2e", "\".\""},
      {"%2E", "\".\""},
      {"%", "%"},
      {"%4", "%"},
      {"a%4", "%"},
      {"%zz", "%"},
      {"%u0041", "%"},
      {"% 41", "%"},
      {"a%00b", "control"},
      {"%0d%0aSet-Cookie:x", "control"},
      {"%1b", "control"},
      {"%7f", "control"},
      {"%c2%80", "control"},
      {"%c2%9f", "control"},
      {"%c0%ae%c0%ae", "UTF-8"},
      {"%ed%a0%80", "UTF-8"},
      {"%ff", "UTF-8"},
      {"%e2%82", "UTF-8"},
      {std::string(257, 'x'), "too long"},
      {std::string(std::size_t{1} << 20U, 'x'), "too long"},
  };
  for (const Row& row : table) {
    const auto id = decode_room_id(row.segment);
    ASSERT_FALSE(id.has_value()) << row.segment.substr(0, 50);
    const bool is_long = std::string_view(row.what) == "too long";
    EXPECT_EQ(id.error().code, is_long ? ErrorCode::TooLarge : ErrorCode::InvalidArgument);
    EXPECT_THAT(id.error().message, HasSubstr(row.what));
    EXPECT_THAT(id.error().message, HasSubstr("1 to 256 bytes of UTF-8"));
  }
  EXPECT_TRUE(decode_room_id("abc", 3).has_value());
  EXPECT_FALSE(decode_room_id("abcd", 3).has_value());
}

TEST(Route, NamesWhatAPathIsFor) {
  struct Row {
    std::string path;
    RouteKind kind;
    std::string rest;
  };
  const std::vector<Row> table = {
      {"/status", RouteKind::Status, ""},
      {"/new_room", RouteKind::NewRoom, ""},
      {"/new_room/chat", RouteKind::NewRoom, "chat"},
      {"/new_room/", RouteKind::Static, "/new_room/"},
      {"/new_rooms", RouteKind::Static, "/new_rooms"},
      {"/ws/a", RouteKind::Room, "a"},
      {"/ws/", RouteKind::Room, ""},
      {"/ws//", RouteKind::Room, "/"},
      {"/ws/a/b", RouteKind::Room, "a/b"},
      {"/ws/%2e%2e", RouteKind::Room, "%2e%2e"},
      {"/ws", RouteKind::Static, "/ws"},
      {"/wsx", RouteKind::Static, "/wsx"},
      {"//ws//x", RouteKind::Static, "//ws//x"},
      {"/%77s/a", RouteKind::Static, "/%77s/a"},
      {"/WS/a", RouteKind::Static, "/WS/a"},
      {"/client", RouteKind::Client, ""},
      {"/client/", RouteKind::Client, "/"},
      {"/client/a.js", RouteKind::Client, "/a.js"},
      {"/clients", RouteKind::Static, "/clients"},
      {"/status/", RouteKind::Static, "/status/"},
      {"/", RouteKind::Static, "/"},
  };
  for (const Row& row : table) {
    EXPECT_EQ(route(row.path).kind, row.kind) << row.path;
    EXPECT_EQ(route(row.path).rest, row.rest) << row.path;
  }
}

TEST(DecodeFilePath, DecodesEachSegmentOnce) {
  EXPECT_EQ(decode_file_path("/"), "/");
  EXPECT_EQ(decode_file_path("/a/b.html"), "/a/b.html");
  EXPECT_EQ(decode_file_path("/a%20b/"), "/a b/");
  EXPECT_EQ(decode_file_path("/%2561"), "/%61");
  EXPECT_EQ(decode_file_path("/caf%c3%a9"), "/caf\u00e9");
  EXPECT_EQ(decode_file_path("/..."), "/...");
  for (const auto* path : {"",      "a",      "//",        "//a",         "/a//b",  "/.",     "/..",    "/../a",
                           "/a/..", "/a/./b", "/%2e%2e/a", "/%2e%2e%2fa", "/a%2fb", "/a%5cb", "/..%5c", "/a\\b",
                           "/%00",  "/%0a",   "/%",        "/%4",         "/%zz",   "/%ff",   "/%c0%ae"}) {
    EXPECT_FALSE(decode_file_path(path).has_value()) << path;
  }
}

TEST(IsAuthority, TakesHostsAndPorts) {
  for (const auto* text : {"h", "example.org", "h:80", "h:", "127.0.0.1:8080", "[::1]", "[::1]:80", "[fe80::1]:0",
                           "xn--caf-dma.example", "H.", "a_b"}) {
    EXPECT_TRUE(is_authority(text)) << text;
  }
  for (const auto* text :
       {"",    ":",   ":80", "me@h", "me:pw@h", "h:1:2",   "::1",  "[::1",        "[]",   "[::1]x", "[g::]",
        "h/p", "h?q", "a b", "h:-1", "h:+1",    "h:99999", "h:8o", "caf\xC3\xA9", "h\\x", "h#x",    "\"h\""}) {
    EXPECT_FALSE(is_authority(text)) << text;
  }
}

}  // namespace
}  // namespace jamsocket::http
