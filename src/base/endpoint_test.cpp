#include "base/endpoint.hpp"

#include <gtest/gtest.h>

namespace jamsocket {
namespace {

TEST(Endpoint, IsReadAndShown) {
  for (const std::string_view text :
       {"127.0.0.1:8080", "localhost:0", "[::]:65535", "[fe80::1%eth0]:80", "unix:/run/jamsocket.sock", "*.x:1"}) {
    const auto endpoint = Endpoint::parse(text);
    if (text.starts_with('*')) {
      EXPECT_FALSE(endpoint);
      continue;
    }
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->text(), text);
    EXPECT_EQ(endpoint->is_unix(), text.starts_with("unix:"));
  }
  EXPECT_EQ(Endpoint::parse("[::1]:80")->host, "::1");
}

TEST(Endpoint, IsNothingElse) {
  for (const std::string_view text :
       {"", ":", "8080", ":8080", "localhost", "localhost:", "localhost:65536", "localhost:-1", "localhost:+1", "a b:1",
        "::1:80", "[]:80", "[::1]", "http://localhost:80", "unix:", "unix:relative", "unix:/", "unix:/run/"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
  EXPECT_TRUE(Endpoint::parse("unix:/" + std::string(106, 'x')));
  EXPECT_FALSE(Endpoint::parse("unix:/" + std::string(107, 'x')));
}

}  // namespace
}  // namespace jamsocket
