// Goal: a room that sleeps is on disk only; who is in it notices nothing, and nothing of it is lost.
// Method: each test for a shard that keeps nothing of such a room but its members, and for one that keeps the room.

#include <gtest/gtest.h>

#include <string>

#include "room/durable_for_test.hpp"

namespace jamsocket::room {
namespace {

using testing::FakeClient;
using testing::Heard;

class SleepingRoom : public testing::DurableRoom, public ::testing::WithParamInterface<bool> {
 protected:
  SleepingRoom() {
    settings.sleep_after = Milliseconds{1000};
    keeps_members_only = GetParam();
  }
  /// With alice in it.
  void fall_asleep() {
    const std::uint64_t times = shard->counter_set.get(Counter::RoomsAsleep);
    shard->settle();
    advance(settings.sleep_after);
    shard->settle();
    ASSERT_EQ(shard->counter_set.get(Counter::RoomsAsleep), times + 1);
    ASSERT_EQ(asleep != nullptr, keeps_members_only);
    put_to_sleep.reset();
    alice.take();
    bob.take();
  }
};

INSTANTIATE_TEST_SUITE_P(Keeps, SleepingRoom, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "Members" : "Room"; });

TEST_P(SleepingRoom, AnEmptyRoomThatSleepsIsDroppedFromMemoryWhateverItsPolicy) {
  settings.sleep_after = Milliseconds{1000};
  settings.shutdown_policy.empty_for = std::nullopt;
  start();
  say(alice, "x");
  leave(alice);
  shard->settle();
  advance(Milliseconds{1001});
  shard->settle();
  EXPECT_EQ(shard->ended, 1);
  open();
  join(bob);
  shard->settle();
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take().back(), "2");
}

TEST_P(SleepingRoom, AnIdleRoomSleepsWithItsClientsAndWakesWithTheNextEvent) {
  settings.sleep_after = Milliseconds{1000};
  start();
  say(alice, "x");
  shard->settle();
  advance(Milliseconds{999});
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 0U);
  advance(Milliseconds{1001});
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  EXPECT_EQ(shard->fell_asleep, 1) << "the shard gives back what is free";
  alice.take();
  say(alice, "x");
  say(alice, "who");
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"2", "here are 1"}));
}

TEST_P(SleepingRoom, ARoomDoesNotSleepDuringACall) {
  settings.sleep_after = Milliseconds{1000};
  start();
  say(alice, "x");
  shard->queue.clear();
  ASSERT_TRUE(room->begin_call(shard->call));
  room->queued = Room::Queued::No;  // As a shard does that changes threads.
  advance(Milliseconds{5000});
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 0U);
  shard->call.run();
  EXPECT_FALSE(room->finish_call(shard->call));
  shard->run();
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"1"});
  advance(Milliseconds{1000});
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  say(alice, "x");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"2"});
}

TEST_P(SleepingRoom, ATimerWakesASleeper) {
  settings.sleep_after = Milliseconds{100};
  start();
  say(alice, "timer");
  shard->settle();
  advance(Milliseconds{200});
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  advance(Milliseconds{300});
  (void)awake();  // A shard that keeps members only sees to it when the timer is due.
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"tick 100"});
}

TEST_P(SleepingRoom, SomebodyWhoComesWakesASleeper) {
  settings.sleep_after = Milliseconds{100};
  start();
  advance(Milliseconds{200});
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 2"}));
}

TEST_P(SleepingRoom, GoesOnWhereItWasHoweverOftenItSleeps) {
  start();
  join(bob);
  for (int i = 1; i <= 5; ++i) {
    say(alice, "x");
    fall_asleep();
    say(bob, "x");
    say(alice, "who");
    shard->settle();
    EXPECT_EQ(alice.take(), (Heard{std::to_string(2 * i), "here are 2"}));
    EXPECT_EQ(bob.take(), Heard{std::to_string(2 * i)});
  }
}

TEST_P(SleepingRoom, ManyThingsMayHappenWhileItWakes) {
  start();
  join(bob);
  shard->settle();
  fall_asleep();
  say(alice, "x");
  leave(bob);
  FakeClient carol;
  join(carol);
  say(alice, "who");
  shard->run();
  EXPECT_TRUE(alice.take().empty()) << "it is being read";
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"1", "left 2", "here are 2"}));
  EXPECT_EQ(carol.take(), (Heard{"<in>", "you are 3"})) << "bob's number is not given out again";
}

TEST_P(SleepingRoom, WhoLeavesIsSeenOff) {
  start();
  join(bob);
  shard->settle();
  fall_asleep();
  leave(bob);
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"left 2"});
}

TEST_P(SleepingRoom, ATimerIsDueOnceHoweverOftenItSlept) {
  settings.sleep_after = Milliseconds{100};
  start();
  say(alice, "timer");
  fall_asleep();
  EXPECT_EQ(asleep != nullptr && asleep->timer_ms != 0, keeps_members_only);
  say(alice, "waits");
  fall_asleep();
  advance(Milliseconds{300});
  (void)awake();
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"tick 100"});
  fall_asleep();
  say(alice, "waits");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"waits for nothing"});
}

TEST_P(SleepingRoom, ABadEventThatWakesItIsUndone) {
  start();
  join(bob);
  say(alice, "x");
  fall_asleep();
  say(bob, "throw");
  say(alice, "x");
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"<failed>"});
  EXPECT_EQ(alice.take(), (Heard{"2", "left 2"}));
}

TEST_P(SleepingRoom, ThatCannotBeReadClosesItsClients) {
  start();
  fall_asleep();
  disk->damaged.insert({"keeper", "lobby"});
  say(alice, "x");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<failed>"});
  EXPECT_TRUE(room->refusal());
}

TEST_P(SleepingRoom, OfWhichNothingIsStoredAnyMoreClosesItsClients) {
  start();
  say(alice, "x");
  fall_asleep();
  disk->rooms.clear();
  say(alice, "x");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<failed>"});
  EXPECT_TRUE(room->refusal());
  // And what comes after it is kept.
  advance(settings.aside.first);
  shard->settle();
  join(bob);
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 2", "1"}));
  EXPECT_EQ(after_a_crash("x"), (Heard{"<in>", "you are 3", "2"}));
}

TEST_P(SleepingRoom, IsThereAfterACrash) {
  start();
  say(alice, "x");
  fall_asleep();
  EXPECT_EQ(after_a_crash("who"), (Heard{"<in>", "you are 2", "here are 1"}));
}

TEST_P(SleepingRoom, ThatFailedLatelyIsKept) {
  start();
  join(bob);
  shard->settle();
  say(bob, "throw");
  shard->settle();
  advance(settings.sleep_after);
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  EXPECT_EQ(asleep, nullptr) << "how often it failed would be forgotten";
  say(alice, "x");
  shard->settle();
  advance(Milliseconds{60'000});
  shard->settle();
  EXPECT_EQ(asleep != nullptr, keeps_members_only);
}

}  // namespace
}  // namespace jamsocket::room
