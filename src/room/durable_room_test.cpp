// Rooms over a store in memory: when clients see what, and what is there after a crash.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "room/durable_for_test.hpp"

namespace jamsocket::room {
namespace {

using testing::DurableRoom;
using testing::FakeClient;
using testing::Heard;
using testing::Keeper;

TEST_F(DurableRoom, NothingIsSeenBeforeItIsKept) {
  boot();
  open();
  join(alice);
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"<in>", "you are 1"}));
  say(alice, "x");
  shard->run();
  EXPECT_TRUE(alice.take().empty());
  ASSERT_TRUE(shard->store.commit_one());
  EXPECT_EQ(alice.take(), Heard{"1"});
}

TEST_F(DurableRoom, TheRoomGoesOnWhileACommitRuns) {
  start();
  for (int i = 0; i < 3; ++i) {
    say(alice, "x");
    shard->run();
  }
  EXPECT_EQ(shard->store.in_flight(), 3U);
  ASSERT_TRUE(shard->store.commit_one());
  EXPECT_EQ(alice.take(), Heard{"1"});
  shard->store.commit_all();
  EXPECT_EQ(alice.take(), (Heard{"2", "3"}));
}

TEST_F(DurableRoom, AsyncWaitsForNobody) {
  settings.durability = Durability::Async;
  start();
  say(alice, "x");
  shard->run();
  EXPECT_EQ(alice.take(), Heard{"1"});
  EXPECT_EQ(shard->store.in_flight(), 1U);
}

TEST_F(DurableRoom, WhatWasSeenIsThereAfterACrash) {
  start();
  for (int i = 0; i < 5; ++i) {
    say(alice, "x");
  }
  shard->settle();
  EXPECT_EQ(alice.take().back(), "5");
  say(alice, "lost");
  shard->run();
  boot();
  open();
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 2"}));
  say(bob, "x");
  say(bob, "who");
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"6", "here are 1"}));
}

TEST_F(DurableRoom, ThoseWhoWereConnectedHaveLeftBeforeAnybodyComes) {
  start();
  join(bob);
  shard->settle();
  boot();
  open();
  FakeClient carol;
  join(carol);
  shard->settle();
  // Their leaving was told before carol was let in.
  EXPECT_EQ(carol.take(), (Heard{"<in>", "you are 3"}));
  say(carol, "who");
  shard->settle();
  EXPECT_EQ(carol.take(), Heard{"here are 1"});
}

TEST_F(DurableRoom, ATimerThatBecameDueMeanwhileFiresOnce) {
  start();
  say(alice, "timer");
  shard->settle();
  EXPECT_EQ(shard->store.sleeping().size(), 1U);
  boot();
  clock.advance(Milliseconds{10'000});
  open(WhenMissing::Refuse);
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take().back(), "you are 2");  // It was due before he came.
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take().back(), "101");
  advance(Milliseconds{10'000});
  shard->settle();
  EXPECT_TRUE(bob.take().empty());
  EXPECT_TRUE(shard->store.sleeping().empty());
}

// Goal: it fires even where an empty room ends at once.
TEST_F(DurableRoom, ATimerThatBecameDueFiresBeforeAnEmptyRoomEnds) {
  settings.shutdown_policy.empty_for = std::chrono::seconds{0};
  start();
  say(alice, "timer");
  room->leave(alice.id);
  shard->settle();
  ASSERT_EQ(shard->ended, 1);
  clock.advance(Milliseconds{10'000});
  open(WhenMissing::Refuse);
  shard->settle();
  EXPECT_EQ(shard->ended, 2);
  EXPECT_EQ(room->sleeps_until_ms(), 0);
  EXPECT_TRUE(shard->store.sleeping().empty());
}

// Goal: a timer that is set anew while its event waits comes once, at its new time, after a crash too.
// Method: it becomes due behind a message that sets it; Keeper's is 500 ms.
TEST_F(DurableRoom, ATimerThatIsSetAnewWhenItIsDueComesAtItsNewTime) {
  start();
  say(alice, "timer");
  shard->settle();
  say(alice, "timer");
  advance(Milliseconds{500});
  shard->settle();
  EXPECT_TRUE(alice.take().empty()) << "it was set anew";
  EXPECT_EQ(room->sleeps_until_ms(), clock.unix_ms() + 500);
  EXPECT_EQ(shard->store.sleeping().size(), 1U);
  boot();
  open();
  join(bob);
  shard->settle();
  bob.take();
  advance(Milliseconds{499});
  shard->settle();
  EXPECT_TRUE(bob.take().empty());
  advance(Milliseconds{1});
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"tick 100"});
  advance(Milliseconds{500});
  shard->settle();
  EXPECT_TRUE(bob.take().empty());
}

TEST_F(DurableRoom, ATimerGoesOnWhereItWas) {
  start();
  say(alice, "timer");
  shard->settle();
  boot();
  clock.advance(Milliseconds{200});
  open();
  join(bob);
  shard->settle();
  bob.take();
  advance(Milliseconds{299});
  shard->settle();
  EXPECT_TRUE(bob.take().empty());
  advance(Milliseconds{1});
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"tick 100"});
}

TEST_F(DurableRoom, ABadEventIsUndoneAndTheRoomGoesOn) {
  start();
  join(bob);
  say(alice, "x");
  shard->settle();
  alice.take();
  bob.take();
  say(alice, "throw");
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<failed>"});
  EXPECT_EQ(bob.take(), (Heard{"2", "left 1"}));
  // And it stays undone.
  EXPECT_EQ(after_a_crash("x").back(), "3");
}

TEST_F(DurableRoom, ThreeBadEventsSetItAsideForAWhile) {
  start();
  FakeClient clients[3];
  for (FakeClient& client : clients) {
    join(client);
  }
  shard->settle();
  for (FakeClient& client : clients) {
    EXPECT_FALSE(room->refusal());
    say(client, "throw");
    shard->settle();
  }
  EXPECT_EQ(alice.take().back(), "<failed>");
  EXPECT_TRUE(room->refusal());
  advance(Milliseconds{1000});
  shard->settle();
  EXPECT_FALSE(room->refusal());
  ASSERT_EQ(shard->store.faults.size(), 3U) << "a file about each of them, the last one too";
  const store::Record& last = shard->store.faults.back().tail.back();
  const auto event = decode_event(last.number, last.bytes);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->event.payload, "throw");
  EXPECT_EQ(event->outcome.outcome, service::Outcome::Trap);
  join(bob);
  shard->settle();
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take().back(), "1");
  EXPECT_EQ(shard->store.faults.size(), 3U);
}

TEST_F(DurableRoom, CheckpointsShortenWhatIsRunAgain) {
  settings.checkpoints.events = 10;
  start();
  for (int i = 0; i < 25; ++i) {
    say(alice, "x");
  }
  shard->settle();
  const auto& kept = disk->rooms.at({"keeper", "lobby"});
  ASSERT_TRUE(kept.stored.checkpoint);
  EXPECT_EQ(kept.stored.checkpoint->number, 20U);
  boot();
  open();
  join(bob);
  shard->settle();
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take().back(), "26");
}

TEST_F(DurableRoom, ACheckpointThatIsDueWaitsForThoseBefore) {
  settings.checkpoints.events = 3;
  start();
  shard->store.behind = true;
  for (int i = 0; i < 4; ++i) {
    say(alice, "x");
  }
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::LimitCheckpointBacklog),
            3U);  // With alice's coming it is due at her second.
  EXPECT_FALSE(disk->rooms.at({"keeper", "lobby"}).stored.checkpoint);
  shard->store.behind = false;
  say(alice, "x");
  shard->settle();
  EXPECT_TRUE(disk->rooms.at({"keeper", "lobby"}).stored.checkpoint);
}

TEST_F(DurableRoom, AnEmptyRoomIsDroppedOnceAllIsKept) {
  settings.shutdown_policy.empty_for = std::chrono::seconds{0};
  start();
  room->leave(alice.id);
  shard->run();
  EXPECT_EQ(shard->ended, 0);
  shard->settle();
  EXPECT_EQ(shard->ended, 1);
  open();
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 2"}));
}

TEST_F(DurableRoom, UnknownRoomsAreRefusedOnceTheStoreSaidSo) {
  boot();
  open(WhenMissing::Refuse);
  join(alice);
  EXPECT_TRUE(alice.take().empty());
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<unknown>"});
  EXPECT_EQ(shard->ended, 1);
}

TEST_F(DurableRoom, CreatingIsAnsweredWhenItIsKept) {
  boot();
  open(WhenMissing::Create);
  std::vector<Created> answers;
  const auto answer = [&answers](Created created) { answers.push_back(created); };
  room->create(answer);
  room->create(answer);
  EXPECT_EQ(answers, std::vector{Created::ExistsAlready});
  ASSERT_TRUE(shard->store.commit_one());  // The lookup.
  shard->run();
  EXPECT_EQ(answers.size(), 1U);
  shard->settle();
  EXPECT_EQ(answers, (std::vector{Created::ExistsAlready, Created::Yes}));
  boot();
  open(WhenMissing::Create);
  room->create(answer);
  shard->settle();
  EXPECT_EQ(answers.back(), Created::ExistsAlready);
  boot();
  open(WhenMissing::Refuse);
  join(alice);
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"<in>", "you are 1"}));
}

TEST_F(DurableRoom, OneWhoLeavesWhileTheRoomIsLookedUpWasNeverThere) {
  boot();
  open();
  join(alice);
  room->leave(alice.id);
  join(bob);
  shard->settle();
  EXPECT_TRUE(alice.take().empty());
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 1"}));
}

TEST_F(DurableRoom, ADamagedRoomIsSetAsideNeverOlder) {
  start();
  boot();
  disk->damaged.insert({"keeper", "lobby"});
  open();
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"<unavailable>"});
  EXPECT_TRUE(room->refusal());
}

TEST_F(DurableRoom, AFullDiskTurnsAwayWhoeverSaysSomething) {
  start();
  shard->store.full = true;
  EXPECT_TRUE(room->refusal());
  say(alice, "x");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<unavailable>"});
  shard->store.full = false;
  EXPECT_FALSE(room->refusal());
}

TEST_F(DurableRoom, WhatWaitsAtTheGateIsBounded) {
  settings.gate.events_max = 2;
  start();
  for (int i = 0; i < 5; ++i) {
    say(alice, "x");
  }
  shard->run();
  EXPECT_EQ(shard->store.in_flight(), 1U);
  EXPECT_EQ(disk->rooms.at({"keeper", "lobby"}).log.size(), 1U);
  shard->store.commit_one();
  EXPECT_EQ(alice.take(), (Heard{"1", "2"}));
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"3", "4", "5"}));
}

TEST_F(DurableRoom, WhatIsOnItsWayToTheDiskIsBoundedWithAsyncToo) {
  settings.durability = Durability::Async;
  settings.gate.events_max = 2;
  start();
  for (int i = 0; i < 5; ++i) {
    say(alice, "x");
  }
  shard->run();
  EXPECT_EQ(alice.take(), (Heard{"1", "2"}));
  EXPECT_EQ(shard->counter_set.get(Counter::LimitInFlightEvents), 1U);
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"3", "4", "5"}));
}

TEST_F(DurableRoom, LargeMessagesOnTheirWayToTheDiskAreBoundedByTheirBytes) {
  settings.gate.bytes_max = 1000;
  start();
  for (int i = 0; i < 3; ++i) {
    say(alice, "who" + std::string(600, ' '));
  }
  shard->run();
  ASSERT_TRUE(shard->store.commit_one());
  EXPECT_EQ(alice.take().size(), 2U);
  EXPECT_EQ(shard->counter_set.get(Counter::LimitInFlightBytes), 1U);
  shard->settle();
  EXPECT_EQ(alice.take().size(), 1U);
}

TEST_F(DurableRoom, ATimerThatIsDueWhileTheDiskIsFullWaits) {
  start();
  say(alice, "timer");
  shard->settle();
  shard->store.full = true;
  advance(Milliseconds{10'000});
  shard->settle();
  EXPECT_TRUE(alice.take().empty());
  shard->store.full = false;
  advance(Milliseconds{1'000});
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"tick 100"});
}

TEST_F(DurableRoom, TheTimeAsideDoublesAndStartsAgainOnceTheRoomDidWell) {
  const auto fail_until_aside = [this] {
    FakeClient clients[3];
    for (FakeClient& client : clients) {
      join(client);
      shard->settle();
      say(client, "throw");
      shard->settle();
    }
    ASSERT_TRUE(room->refusal());
  };
  start();
  fail_until_aside();
  advance(Milliseconds{1'000});
  shard->settle();
  fail_until_aside();
  advance(Milliseconds{1'999});
  shard->settle();
  EXPECT_TRUE(room->refusal());
  advance(Milliseconds{1});
  shard->settle();
  EXPECT_FALSE(room->refusal());
  advance(Milliseconds{60'001});
  shard->settle();
  fail_until_aside();
  advance(Milliseconds{1'000});
  shard->settle();
  EXPECT_FALSE(room->refusal());
}

TEST_F(DurableRoom, AnUndoneEventLeavesAFileBehind) {
  start();
  say(alice, "throw");
  shard->settle();
  ASSERT_EQ(shard->store.faults.size(), 1U);
  const auto last = decode_event(2, shard->store.faults[0].tail.back().bytes);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->event.payload, "throw");
  EXPECT_EQ(last->outcome.outcome, service::Outcome::Trap);
}

TEST_F(DurableRoom, ARoomOfAnotherVersionIsSetAsideOrBeginsAfresh) {
  start();
  say(alice, "x");
  shard->settle();
  auto& stored = disk->rooms.at({"keeper", "lobby"}).stored;
  Birth birth = decode_birth(stored.birth).value();
  birth.version = "of old";
  stored.birth = encode(birth);
  boot();
  open();
  join(bob);
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"<unavailable>"});
  settings.upgrade = Upgrade::Restart;
  boot();
  open();
  bob.in = false;
  join(bob);
  shard->settle();
  say(bob, "x");
  shard->settle();
  EXPECT_EQ(bob.take(), (Heard{"<in>", "you are 1", "1"}));
}

// What `load` cannot read, and what throws on the way back: the room is set aside, and others go on.
class Stubborn : public Keeper {
 public:
  using Keeper::Keeper;
  void load(Reader&) { throw std::runtime_error("not this"); }
};

TEST_F(DurableRoom, AStateThatIsRefusedSetsTheRoomAsideAndNoOther) {
  settings.checkpoints.events = 1;
  start();
  say(alice, "x");
  shard->settle();
  ASSERT_TRUE(disk->rooms.at({"keeper", "lobby"}).stored.checkpoint);
  boot();
  const auto stubborn = service::make_native_service("keeper", jamsocket::detail::native_service_factory<Stubborn>());
  Room lobby("lobby", *stubborn, settings, *shard);
  lobby.load(WhenMissing::Make);
  bob.id = lobby.join(bob, std::make_unique<service::ConnectInfo>());
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"<failed>"});
  EXPECT_TRUE(lobby.refusal());
  Room other("other", *stubborn, settings, *shard);
  other.load(WhenMissing::Make);
  FakeClient carol;
  carol.id = other.join(carol, std::make_unique<service::ConnectInfo>());
  shard->settle();
  EXPECT_EQ(carol.take(), (Heard{"<in>", "you are 1"}));
  // With code that reads it, it is there again.
  boot();
  open();
  FakeClient dave;
  join(dave);
  shard->settle();
  say(dave, "x");
  shard->settle();
  EXPECT_EQ(dave.take().back(), "2");
}

TEST_F(DurableRoom, ClosesAndRefusalsWaitAsWell) {
  start();
  join(bob, "no");
  say(alice, "close");
  shard->run();
  EXPECT_TRUE(alice.take().empty());
  EXPECT_TRUE(bob.take().empty());
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<closed 4000>"});
  EXPECT_EQ(bob.take(), Heard{"<refused not you>"});
  EXPECT_EQ(room->client_count(), 0U);
}

// Goal: whatever the room is doing, it ends without another event once nothing of it is on the way, and its clients
// are told. Method: let go of in each of its states.
TEST_F(DurableRoom, IsLetGoOfInWhateverState) {
  start();
  join(bob);
  say(alice, "x");
  room->let_go(1012, "changed");
  EXPECT_EQ(alice.take(), Heard{"<closed 1012>"});
  EXPECT_EQ(bob.take(), Heard{"<closed 1012>"});
  EXPECT_EQ(shard->ended, 0) << "it is in the shard's queue";
  shard->settle();
  EXPECT_EQ(shard->ended, 1);
  boot();
  open();
  FakeClient carol;
  join(carol);
  shard->settle();
  EXPECT_EQ(carol.take(), (Heard{"<in>", "you are 2"})) << "what waited was dropped";
}

TEST_F(DurableRoom, IsLetGoOfOnceWhatItWroteIsKept) {
  start();
  say(alice, "x");
  shard->run();
  room->let_go(1001, "gone");
  EXPECT_EQ(alice.take(), Heard{"<closed 1001>"});
  EXPECT_EQ(shard->ended, 0);
  shard->settle();
  EXPECT_EQ(shard->ended, 1);
  EXPECT_TRUE(alice.take().empty());
}

TEST_F(DurableRoom, IsLetGoOfWhileItIsLookedUpAsleepOrAside) {
  boot();
  open();
  join(alice);
  room->let_go(1001, "gone");
  EXPECT_EQ(shard->ended, 0);
  shard->settle();
  EXPECT_EQ(shard->ended, 1);
  EXPECT_EQ(alice.take(), Heard{"<closed 1001>"});

  start();
  advance(settings.sleep_after);
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsAsleep), 1U);
  room->let_go(1001, "gone");
  EXPECT_EQ(shard->ended, 1);
  EXPECT_EQ(alice.take(), Heard{"<closed 1001>"});

  disk->damaged.insert({"keeper", "lobby"});
  boot();
  open();
  shard->settle();
  EXPECT_EQ(shard->counter_set.get(Counter::RoomsUnreadable), 1U);
  room->let_go(1001, "gone");
  EXPECT_EQ(shard->ended, 1);
}

TEST_F(DurableRoom, IsLetGoOfOnceItsCallReturned) {
  start();
  say(alice, "x");
  ASSERT_TRUE(room->begin_call(shard->call));
  shard->queue.clear();
  room->queued = Room::Queued::No;
  room->let_go(1012, "changed");
  EXPECT_EQ(shard->ended, 0);
  shard->call.run();
  EXPECT_FALSE(room->finish_call(shard->call));
  EXPECT_EQ(shard->ended, 1);
  EXPECT_EQ(alice.take(), Heard{"<closed 1012>"});
}

}  // namespace
}  // namespace jamsocket::room
