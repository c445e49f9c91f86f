#include "room/policy.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

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

TEST(RoomStrategy, GeneratesIdsOfTheRightShape) {
  const RoomStrategy uuid = *RoomStrategy::parse("uuid");
  const RoomStrategy letters = *RoomStrategy::parse("short12");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string id = uuid.generate_id();
    EXPECT_TRUE(std::regex_match(id, std::regex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")))
        << id;
    EXPECT_TRUE(seen.insert(id).second);
    EXPECT_TRUE(std::regex_match(letters.generate_id(), std::regex("[A-Z]{12}")));
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
