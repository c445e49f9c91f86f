#include "server/failing_rooms.hpp"

#include <gtest/gtest.h>

#include <string>

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr RoomName kRoom{.service = "s", .id = "x"};
constexpr RoomName kOther{.service = "t", .id = "x"};

class FailingRoomsTest : public testing::Test {
 protected:
  void fail(int times) {
    for (int i = 0; i < times; ++i) {
      failing_.note(kRoom, clock_.steady());
    }
  }
  [[nodiscard]] Milliseconds rest() const { return failing_.rests_for(kRoom, clock_.steady()); }

  ManualClock clock_;
  FailingRooms failing_{{.failures = 3, .first = 1s, .most = 60s}};
};

TEST_F(FailingRoomsTest, TheThirdFailureBringsARestThatDoublesUpToItsLimit) {
  EXPECT_TRUE(failing_.none());
  fail(2);
  EXPECT_EQ(rest(), 0ms);
  for (const auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    fail(1);
    EXPECT_EQ(rest(), expected);
    clock_.advance(expected - 1ms);
    EXPECT_EQ(rest(), 1ms);
    clock_.advance(1ms);
    EXPECT_EQ(rest(), 0ms) << "somebody may try again";
  }
  fail(100);
  EXPECT_EQ(rest(), 60s);
}

TEST_F(FailingRoomsTest, AMinuteWithoutFailureAfterItsRestForgetsIt) {
  fail(3);
  clock_.advance(1s + 60s);
  fail(1);
  EXPECT_EQ(rest(), 2s) << "just within the minute";
  clock_.advance(2s + 60s + 1ms);
  fail(1);
  EXPECT_EQ(rest(), 0ms);
  EXPECT_EQ(failing_.size(), 1U);
}

TEST_F(FailingRoomsTest, RemembersThatItsCallsWereSlow) {
  const SteadyTime until = clock_.steady() + 10s;
  EXPECT_EQ(failing_.slow_until(kRoom), SteadyTime{});
  failing_.note(kRoom, clock_.steady(), until);
  EXPECT_EQ(failing_.slow_until(kRoom), until);
  EXPECT_EQ(failing_.slow_until(kOther), SteadyTime{});
}

TEST_F(FailingRoomsTest, RoomsOfOtherServicesAreOthers) {
  fail(3);
  EXPECT_EQ(failing_.rests_for(kOther, clock_.steady()), 0ms);
}

TEST_F(FailingRoomsTest, RemembersABoundedNumber) {
  fail(5);
  for (std::size_t i = 0; i < FailingRooms::kRemembered + 10; ++i) {
    const std::string id = std::to_string(i);
    failing_.note({.service = "", .id = id}, clock_.steady());
    EXPECT_LE(failing_.size(), FailingRooms::kRemembered);
  }
  EXPECT_EQ(rest(), 0ms) << "the oldest was forgotten";
}

}  // namespace
}  // namespace jamsocket::server
