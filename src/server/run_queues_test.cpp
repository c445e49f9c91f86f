// Goal: every room that has events gets its turn, and the order is the one the header tells.
// Method: rooms that are two numbers.

#include "server/run_queues.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

struct FakeRoom {
  std::uint64_t handled = 0;
  SteadyTime over_share_until{};

  [[nodiscard]] std::uint64_t events_handled() const { return handled; }
};

using Queues = RunQueues<FakeRoom>;

constexpr std::uint64_t kKnown = Queues::kEventsToBeKnown;

class RunQueuesTest : public testing::Test {
 protected:
  std::vector<FakeRoom> rooms(std::size_t count, std::uint64_t handled) {
    return std::vector<FakeRoom>(count, {.handled = handled});
  }
  void push(std::vector<FakeRoom>& rooms) {
    for (FakeRoom& room : rooms) {
      queues_.push(room, now_);
    }
  }

  SteadyTime now_{1000s};
  Queues queues_;
};

TEST_F(RunQueuesTest, KnownRoomsGoFirstInTheirOrder) {
  FakeRoom fresh{.handled = kKnown - 1};
  auto known = rooms(2, kKnown);
  queues_.push(fresh, now_);
  push(known);
  EXPECT_EQ(queues_.size(), 3U);
  EXPECT_EQ(queues_.pop(), &known[0]);
  EXPECT_EQ(queues_.pop(), &known[1]);
  EXPECT_EQ(queues_.pop(), &fresh);
  EXPECT_EQ(queues_.pop(), nullptr);
  EXPECT_TRUE(queues_.empty());
}

TEST_F(RunQueuesTest, OneThatIsTakenOutIsInNoQueue) {
  FakeRoom fresh;
  FakeRoom over{.over_share_until = now_ + 1s};
  auto known = rooms(2, kKnown);
  push(known);
  queues_.push(fresh, now_);
  queues_.push(over, now_);
  for (FakeRoom* room : {&known[0], &fresh, &over}) {
    queues_.remove(*room);
  }
  EXPECT_EQ(queues_.size(), 1U);
  EXPECT_EQ(queues_.pop(), &known[1]);
}

TEST_F(RunQueuesTest, ANewRoomGoesBetweenManyKnown) {
  FakeRoom fresh;
  auto known = rooms(Queues::kKnownInARow + 1, kKnown);
  queues_.push(fresh, now_);
  push(known);
  for (std::size_t i = 0; i < Queues::kKnownInARow; ++i) {
    EXPECT_EQ(queues_.pop(), &known[i]);
  }
  EXPECT_EQ(queues_.pop(), &fresh);
  EXPECT_EQ(queues_.pop(), &known.back());
}

TEST_F(RunQueuesTest, ATurnHasSoManyNewRooms) {
  auto fresh = rooms(Queues::kNewForTurn + 1, 0);
  push(fresh);
  for (std::size_t i = 0; i < Queues::kNewForTurn; ++i) {
    EXPECT_EQ(queues_.pop(), &fresh[i]);
  }
  EXPECT_EQ(queues_.pop(), nullptr);
  EXPECT_FALSE(queues_.empty());
  queues_.begin_turn(now_);
  EXPECT_EQ(queues_.pop(), &fresh.back());
}

TEST_F(RunQueuesTest, KnownRoomsGoOnWhenTheTurnHadItsNewOnes) {
  auto fresh = rooms(Queues::kNewForTurn + 1, 0);
  push(fresh);
  while (queues_.pop() != nullptr) {
  }
  auto known = rooms(2 * Queues::kKnownInARow, kKnown);
  push(known);
  for (FakeRoom& room : known) {
    EXPECT_EQ(queues_.pop(), &room);
  }
  EXPECT_EQ(queues_.pop(), nullptr);
  EXPECT_EQ(queues_.size(), 1U);
}

TEST_F(RunQueuesTest, WhoHadItsShareWaitsForAllOthersAndForItsSecond) {
  FakeRoom greedy{.handled = kKnown, .over_share_until = now_ + 1s};
  FakeRoom fresh;
  queues_.push(greedy, now_);
  queues_.push(fresh, now_);
  EXPECT_EQ(queues_.pop(), &fresh);
  EXPECT_EQ(queues_.pop(), &greedy);

  queues_.push(greedy, now_);
  queues_.begin_turn(now_ + 1s);
  queues_.push(fresh, now_ + 1s);
  EXPECT_EQ(queues_.pop(), &greedy) << "its second is over";
  EXPECT_EQ(queues_.pop(), &fresh);
}

TEST_F(RunQueuesTest, EachRoomThatWaitsIsVisited) {
  FakeRoom greedy{.handled = kKnown, .over_share_until = now_ + 1s};
  FakeRoom fresh;
  FakeRoom known{.handled = kKnown};
  queues_.push(greedy, now_);
  queues_.push(fresh, now_);
  queues_.push(known, now_);
  std::vector<FakeRoom*> seen;
  queues_.for_each([&](FakeRoom& room) { seen.push_back(&room); });
  EXPECT_EQ(seen, (std::vector<FakeRoom*>{&known, &fresh, &greedy}));
}

}  // namespace
}  // namespace jamsocket::server
