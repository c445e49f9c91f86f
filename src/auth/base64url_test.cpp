#include "auth/base64url.hpp"

#include <gtest/gtest.h>

namespace jamsocket::auth {
namespace {

// RFC 4648 section 10, without padding.
TEST(Base64Url, HasTheTestVectorsOfItsSpecification) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64url(bytes), text);
    EXPECT_EQ(from_base64url(text), bytes);
  }
  EXPECT_EQ(base64url("\xfb\xff\xfe"), "-__-");
  EXPECT_EQ(from_base64url("-__-"), "\xfb\xff\xfe");
}

TEST(Base64Url, TwoTextsNeverMeanTheSame) {
  for (const char* text : {"Zh", "Zm9", "Z", "Zg==", "Zm8=", "Zm 9v", "+/+/", "Zm9v\n", "Zm9vY"}) {
    EXPECT_EQ(from_base64url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace jamsocket::auth
