#include "ws/handshake.hpp"

#include <gtest/gtest.h>

namespace jamsocket::ws {
namespace {

// RFC 6455 section 1.3.
TEST(Handshake, AnswersTheExampleOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Handshake, TakesOnlyKeysOfSixteenBytes) {
  EXPECT_TRUE(is_handshake_key("dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_TRUE(is_handshake_key("AAAAAAAAAAAAAAAAAAAAAA=="));
  EXPECT_TRUE(is_handshake_key("+/+/+/+/+/+/+/+/+/+/+w=="));
  for (const auto* key : {"", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZTA=", "dGhlIHNhbXBsZSBub25jZTAx",
                          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQ", " dGhlIHNhbXBsZSBub25jZQ==",
                          "dGhlIHNhbXBsZSBub25-ZQ==", "dGhlIHNhbXBsZSBub25\x80ZQ==", "dGhlIHNhbXBsZSBub25jZQ==="}) {
    EXPECT_FALSE(is_handshake_key(key)) << key;
  }
}

}  // namespace
}  // namespace jamsocket::ws
