#include "http/request_parser.hpp"

#include <gtest/gtest.h>

#include <string>

namespace jamsocket::http {
namespace {

TEST(RequestParser, ReadsARequest) {
  RequestParser parser;
  const std::string input = "GET /ws/a%20b?x=1 HTTP/1.1\r\nHost: h:1\r\nX-Y:  z \r\n\r\nrest";
  const ParseStep step = parser.feed(input);
  ASSERT_EQ(step.status, ParseStatus::Complete) << step.reason;
  EXPECT_EQ(input.substr(step.consumed_bytes), "rest");
  const Request& request = parser.request();
  EXPECT_EQ(request.method, Method::Get);
  EXPECT_EQ(request.path, "/ws/a%20b");
  EXPECT_EQ(request.query, "x=1");
  EXPECT_EQ(request.header("x-y"), "z");
  EXPECT_TRUE(request.keep_alive);
}

}  // namespace
}  // namespace jamsocket::http
