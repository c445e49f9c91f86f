#include "room/policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

namespace jamsocket::room {
namespace {

TEST(RoomStrategy, ParsesWhatIsDocumentedAndNothingElse) {
  EXPECT_EQ(RoomStrategy::parse("implicit")->kind, RoomStrategy::Kind::Implicit);
  EXPECT_EQ(RoomStrategy::parse("api")->kind, RoomStrategy::Kind::Api);
  EXPECT_EQ(RoomStrategy::parse("uuid")->kind, RoomStrategy::Kind::Uuid);
  EXPECT_EQ(RoomStrategy::parse("short")->letters, 4U);
  EXPECT_EQ(RoomStrategy::parse("short3")->letters, 3U);
  EXPECT_EQ(RoomStrategy::parse("short12")->letters, 12U);
  for (const char* bad : {"short2", "short13", "short04", "short-4", "short 4", "short4x", "Implicit", "", "shorter"}) {
    const auto parsed = RoomStrategy::parse(bad);
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_NE(parsed.error().message.find("implicit, api, uuid, short, short3 to short12"), std::string::npos);
  }
}

// Each hexadecimal digit as x, each capital letter as A, all else as it is.
std::string shape_of(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    const bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    return is_hex ? 'x' : c >= 'A' && c <= 'Z' ? 'A' : c;
  });
  return text;
}

TEST(RoomStrategy, GeneratesIdsOfTheRightShape) {
  const RoomStrategy uuid = *RoomStrategy::parse("uuid");
  const RoomStrategy letters = *RoomStrategy::parse("short12");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string id = uuid.generate_id();
    EXPECT_EQ(shape_of(id), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") << id;
    EXPECT_EQ(id[14], '4') << id;
    EXPECT_NE(std::string_view("89ab").find(id[19]), std::string_view::npos) << id;
    EXPECT_TRUE(seen.insert(id).second);
    EXPECT_EQ(shape_of(letters.generate_id()), "AAAAAAAAAAAA");
  }
}

TEST(ShutdownPolicy, ParsesWhatIsDocumentedAndNothingElse) {
  EXPECT_EQ(ShutdownPolicy::parse("never")->empty_for, std::nullopt);
  EXPECT_EQ(ShutdownPolicy::parse("immediate")->empty_for, std::chrono::seconds{0});
  EXPECT_EQ(ShutdownPolicy::parse("0sec")->empty_for, std::chrono::seconds{0});
  EXPECT_EQ(ShutdownPolicy::parse("300sec")->empty_for, std::chrono::seconds{300});
  for (const char* bad : {"0.5sec", "10", "Immediate", "-1sec", "sec", "10 sec", "99999999999sec", "10s", ""}) {
    EXPECT_FALSE(ShutdownPolicy::parse(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace jamsocket::room
