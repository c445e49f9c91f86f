#include "http/response.hpp"

#include <gtest/gtest.h>

namespace jamsocket::http {
namespace {

TEST(Serialise, WritesTheWholeAnswer) {
  const Response response = text_response(404, "Nothing here.");
  EXPECT_EQ(serialise(response, {.unix_ms = 784111777000}),
            "HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
            "Content-Length: 13\r\nConnection: keep-alive\r\n\r\nNothing here.");
}

TEST(Serialise, LeavesTheBodyOutForHead) {
  const std::string bytes = serialise(text_response(200, "ok"), {.body = SendBody::No});
  EXPECT_NE(bytes.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(bytes.ends_with("\r\n\r\n"));
}

TEST(Serialise, SaysThatItCloses) {
  const std::string bytes = serialise(text_response(400, "no"), {.after = AfterResponse::Close});
  EXPECT_NE(bytes.find("Connection: close\r\n"), std::string::npos);
}

TEST(Serialise, GivesNoLengthWhereThereIsNoBody) {
  Response response{.status = 304, .headers = {}, .body = "ignored"};
  const std::string bytes = serialise(response, {});
  EXPECT_EQ(bytes.find("Content-Length"), std::string::npos);
  EXPECT_EQ(bytes.find("ignored"), std::string::npos);
}

TEST(ResponseDeathTest, RefusesToSplitTheResponse) {
  Response response;
  EXPECT_DEATH(response.add("Location", "/\r\nSet-Cookie: x"), "");
  EXPECT_DEATH(response.add("Bad Name", "x"), "");
}

TEST(ReasonPhrase, IsThereForAllWeSend) {
  for (const int status : {101, 200, 202, 204, 206, 304, 308, 400, 403, 404, 405, 408, 409,
                           412, 413, 414, 416, 417, 426, 431, 500, 501, 503, 505, 507}) {
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
  }
}

TEST(HttpDate, IsFixedLength) {
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(http_date(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

}  // namespace
}  // namespace jamsocket::http
