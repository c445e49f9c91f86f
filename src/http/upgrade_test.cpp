#include "http/upgrade.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace jamsocket::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Headers = std::vector<Header>;

Request good_request() {
  Request request;
  request.method = Method::Get;
  request.path = "/ws/a";
  request.headers = {{"Host", "h"},
                     {"Upgrade", "websocket"},
                     {"Connection", "Upgrade"},
                     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                     {"Sec-WebSocket-Version", "13"}};
  return request;
}

Request without(std::string_view name) {
  Request request = good_request();
  std::erase_if(request.headers, [name](const Header& header) { return header.name == name; });
  return request;
}

Request with(const Headers& headers) {
  Request request = good_request();
  for (const Header& header : headers) {
    std::erase_if(request.headers, [&header](const Header& other) { return other.name == header.name; });
  }
  request.headers.insert(request.headers.end(), headers.begin(), headers.end());
  return request;
}

TEST(CheckUpgrade, TakesAGoodHandshake) {
  const auto upgrade = check_upgrade(good_request());
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->key, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_TRUE(upgrade->protocols.empty());
  EXPECT_TRUE(upgrade->extensions.empty());
  EXPECT_TRUE(wants_upgrade(good_request()));
}

TEST(CheckUpgrade, TakesWhatProxiesAndBrowsersMakeOfIt) {
  for (const Headers& headers : std::vector<Headers>{
           {{"Upgrade", "WebSocket"}},
           {{"Upgrade", "h2c, WEBSOCKET"}},
           {{"Connection", "keep-alive, Upgrade"}},
           {{"Connection", "keep-alive"}, {"Connection", "upgrade"}},
           {{"Connection", "upgrade,,"}},
           {{"Origin", "null"}},
           {{"Expect", "100-continue"}},
       }) {
    EXPECT_TRUE(check_upgrade(with(headers)).has_value()) << headers[0].value;
  }
}

struct Refused {
  const char* what;
  Request request;
  int status;
  const char* sentence;
};

TEST(CheckUpgrade, RefusesWithTheStatusThatFits) {
  Request post = good_request();
  post.method = Method::Post;
  Request lower_case = good_request();
  lower_case.method = Method::Other;
  Request old = good_request();
  old.version_minor = 0;
  Request body = good_request();
  body.has_body = true;
  const std::vector<Refused> table = {
      {"POST", post, 405, "GET"},
      {"get", lower_case, 405, "GET"},
      {"HTTP/1.0", old, 426, "HTTP/1.1"},
      {"no Upgrade", without("Upgrade"), 426, "Upgrade: websocket"},
      {"empty Upgrade", with({{"Upgrade", ""}}), 426, "Upgrade: websocket"},
      {"h2c", with({{"Upgrade", "h2c"}}), 426, "Upgrade: websocket"},
      {"websockets", with({{"Upgrade", "websockets"}}), 426, "Upgrade: websocket"},
      {"no Connection", without("Connection"), 426, "Connection: Upgrade"},
      {"keep-alive only", with({{"Connection", "keep-alive"}}), 426, "Connection: Upgrade"},
      {"no version", without("Sec-WebSocket-Version"), 426, "13"},
      {"version 8", with({{"Sec-WebSocket-Version", "8"}}), 426, "13"},
      {"version 0", with({{"Sec-WebSocket-Version", "0"}}), 426, "13"},
      {"version 13abc", with({{"Sec-WebSocket-Version", "13abc"}}), 426, "13"},
      {"version list", with({{"Sec-WebSocket-Version", "13, 8"}}), 426, "13"},
      {"version twice", with({{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Version", "13"}}), 426, "13"},
      {"no key", without("Sec-WebSocket-Key"), 400, "Sec-WebSocket-Key"},
      {"empty key", with({{"Sec-WebSocket-Key", ""}}), 400, "Sec-WebSocket-Key"},
      {"key of 15 bytes", with({{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"}}), 400, "Sec-WebSocket-Key"},
      {"key of 17 bytes", with({{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZTA="}}), 400, "Sec-WebSocket-Key"},
      {"key not base64", with({{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25-ZQ=="}}), 400, "Sec-WebSocket-Key"},
      {"key of 10 KiB", with({{"Sec-WebSocket-Key", std::string(10240, 'A')}}), 400, "Sec-WebSocket-Key"},
      {"key twice",
       with({{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}}),
       400, "Sec-WebSocket-Key"},
      {"a body", body, 400, "body"},
      {"two Origins", with({{"Origin", "a"}, {"Origin", "b"}}), 400, "Origin"},
      {"protocol not a token", with({{"Sec-WebSocket-Protocol", "a, b c"}}), 400, "token"},
      {"protocol twice", with({{"Sec-WebSocket-Protocol", "a, b, a"}}), 400, "twice"},
      {"protocol twice in two headers", with({{"Sec-WebSocket-Protocol", "a"}, {"Sec-WebSocket-Protocol", "a"}}), 400,
       "twice"},
  };
  for (const Refused& row : table) {
    const auto upgrade = check_upgrade(row.request);
    ASSERT_FALSE(upgrade.has_value()) << row.what;
    const Response& response = upgrade.error();
    EXPECT_EQ(response.status, row.status) << row.what;
    EXPECT_THAT(response.body, HasSubstr(row.sentence)) << row.what;
    EXPECT_TRUE(response.body.ends_with('.')) << row.what;
    EXPECT_EQ(response.header("Upgrade"), row.status == 426 ? "websocket" : "") << row.what;
    EXPECT_EQ(response.header("Sec-WebSocket-Version"), row.status == 426 ? "13" : "") << row.what;
    EXPECT_EQ(response.header("Allow"), row.status == 405 ? "GET" : "") << row.what;
  }
}

TEST(CheckUpgrade, ListsSubprotocolsInTheClientsOrder) {
  const auto upgrade = check_upgrade(with({{"Sec-WebSocket-Protocol", "b, a,,"}, {"Sec-WebSocket-Protocol", " c.1 "}}));
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_THAT(upgrade->protocols, ElementsAre("b", "a", "c.1"));
  std::string many = "p0";
  for (int i = 1; i < 1000; ++i) {
    many += ",p" + std::to_string(i);
  }
  EXPECT_EQ(check_upgrade(with({{"Sec-WebSocket-Protocol", many}})).error().status, 400);
  // A list that cannot be matched quickly by a careless pattern.
  const std::string spaces = "b" + std::string(30'000, ' ') + "x";
  EXPECT_EQ(check_upgrade(with({{"Sec-WebSocket-Protocol", spaces}})).error().status, 400);
}

TEST(CheckUpgrade, JoinsExtensionOffers) {
  const auto upgrade =
      check_upgrade(with({{"Sec-WebSocket-Extensions", "permessage-deflate"}, {"Sec-WebSocket-Extensions", "x; y=1"}}));
  ASSERT_TRUE(upgrade.has_value());
  EXPECT_EQ(upgrade->extensions, "permessage-deflate, x; y=1");
}

// RFC 6455 section 1.3.
TEST(UpgradeResponse, IsTheAnswerOfTheRfc) {
  EXPECT_EQ(upgrade_response({.accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", .protocol = "chat", .extensions = {}}),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
}

TEST(WithSubprotocol, AddsOrReplacesTheOneLine) {
  const std::string plain = upgrade_response({.accept = "a", .protocol = {}, .extensions = {}});
  const std::string chosen = upgrade_response({.accept = "a", .protocol = "chat", .extensions = "permessage-deflate"});
  EXPECT_EQ(with_subprotocol(plain, "chat"), upgrade_response({.accept = "a", .protocol = "chat", .extensions = {}}));
  EXPECT_EQ(
      with_subprotocol(chosen, "v2"),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: v2\r\n\r\n");
  EXPECT_DEATH((void)with_subprotocol(plain, "a\r\nSet-Cookie: x"), "");
}

}  // namespace
}  // namespace jamsocket::http
