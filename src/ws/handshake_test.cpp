#include "ws/handshake.hpp"

#include <gtest/gtest.h>

namespace jamsocket::ws {
namespace {

// RFC 6455 section 1.3.
TEST(Handshake, AnswersTheExampleOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace jamsocket::ws
