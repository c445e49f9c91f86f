// Goal: a number is digits from one end to the other, and one that does not fit is none.

#include "base/number.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace jamsocket {
namespace {

using namespace std::string_view_literals;

TEST(Number, IsDigitsFromOneEndToTheOther) {
  EXPECT_EQ(parse_number<std::uint32_t>("0"), 0U);
  EXPECT_EQ(parse_number<std::uint32_t>("007"), 7U);
  for (const std::string_view text :
       {""sv, "-"sv, "-1"sv, "-0"sv, "+1"sv, " 1"sv, "1 "sv, "1\0"sv, "0x1"sv, "1e3"sv, "1.0"sv}) {
    EXPECT_EQ(parse_number<std::uint32_t>(text), std::nullopt) << text;
  }
}

TEST(Number, BeyondItsTypeIsNone) {
  EXPECT_EQ(parse_number<std::uint16_t>("65535"), 65'535);
  EXPECT_EQ(parse_number<std::uint16_t>("65536"), std::nullopt);
  EXPECT_EQ(parse_number<std::uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_number<std::uint64_t>("18446744073709551616"), std::nullopt);
}

TEST(Number, InAnotherBase) {
  EXPECT_EQ(parse_number<std::uint32_t>("0660", 8), 0660U);
  EXPECT_EQ(parse_number<std::uint32_t>("0680", 8), std::nullopt);
}

}  // namespace
}  // namespace jamsocket
