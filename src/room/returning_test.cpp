// Clients that come back, in rooms that are kept and in rooms that are not.

#include "room/returning.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "room/durable_for_test.hpp"

namespace jamsocket::room {
namespace {

using namespace std::chrono_literals;
using service::EventKind;
using testing::FakeClient;
using testing::FakeShard;
using testing::Heard;

class Returns : public testing::RoomOnShard, public ::testing::WithParamInterface<Durability> {
 protected:
  Returns() {
    settings.durability = GetParam();
    settings.returning.within = 5s;
    settings.shutdown_policy.empty_for = 1s;
  }
  void open() {
    room.reset();
    shard = std::make_unique<FakeShard>(disk, clock);
    room = std::make_unique<Room>("lobby", *service, settings, *shard);
    if (GetParam() != Durability::None) {
      room->load(WhenMissing::Make);
    }
    shard->settle();
  }
  void join(FakeClient& client, const std::string& subject, const std::string& resume = {}) {
    auto info = std::make_unique<service::ConnectInfo>();
    info->subject = subject;
    client.id = room->join(client, std::move(info), resume);
  }
  void joins(FakeClient& client, const std::string& subject, const std::string& resume = {}) {
    join(client, subject, resume);
    shard->settle();
  }
  void says(FakeClient& client, std::string_view text) {
    room->message(EventKind::Text, client.id, shard->received(text), PayloadStays::ForTheTurn);
    shard->settle();
  }
  void advance(Milliseconds by) {
    RoomOnShard::advance(by);
    shard->settle();
  }
  std::uint64_t count(Counter counter) const { return shard->counter_set.get(counter); }

  FakeClient again;
};

TEST_P(Returns, TheSameSubjectGetsItsPlaceBackAndTheServiceHearsNothing) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  bob.take();
  EXPECT_EQ(alice.take(), (Heard{"<in>", "you are 2"}));
  room->leave(alice.id);
  shard->settle();
  EXPECT_EQ(room->client_count(), 2U);
  advance(4999ms);
  EXPECT_TRUE(bob.take().empty()) << "nobody left";
  joins(again, "alice");
  EXPECT_EQ(again.id, ClientId{2});
  EXPECT_EQ(again.take(), Heard{"<in>"}) << "no connect either";
  EXPECT_EQ(again.resume, alice.resume);
  says(again, "who");
  EXPECT_EQ(again.take(), Heard{"here are 2"});
  advance(1h);
  EXPECT_TRUE(bob.take().empty()) << "the old absence is over";
  EXPECT_EQ(count(Counter::ClientsReturned), 1U);
}

TEST_P(Returns, WhoDoesNotComeBackHasLeft) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  bob.take();
  room->leave(alice.id);
  advance(4999ms);
  EXPECT_TRUE(bob.take().empty());
  advance(1ms);
  EXPECT_EQ(bob.take(), Heard{"left 2"});
  joins(again, "alice");
  EXPECT_EQ(again.id, ClientId{3});
  EXPECT_EQ(again.take(), (Heard{"<in>", "you are 3"}));
}

TEST_P(Returns, AResumeTokenBringsAnybodyBack) {
  open();
  joins(alice, "");
  ASSERT_TRUE(alice.resume.starts_with("1-"));
  ASSERT_EQ(alice.resume.size(), 24U);
  room->leave(alice.id);
  FakeClient stranger;
  std::string guess = alice.resume;
  guess.back() = guess.back() == 'A' ? 'Q' : 'A';
  for (const std::string& wrong : {std::string(), std::string("1-"), guess, "2" + alice.resume.substr(1),
                                   alice.resume.substr(0, 23), alice.resume + "A", std::string("1")}) {
    FakeClient other;
    joins(other, "", wrong);
    EXPECT_NE(other.id, alice.id) << wrong;
    room->leave(other.id);
  }
  joins(stranger, "mallory", alice.resume);
  EXPECT_NE(stranger.id, alice.id) << "a token is its subject's";
  joins(again, "", alice.resume);
  EXPECT_EQ(again.id, alice.id);
}

TEST_P(Returns, TheNewerOfTwoWins) {
  open();
  joins(alice, "alice");
  alice.take();
  joins(again, "alice");
  EXPECT_EQ(alice.take(), Heard{"<closed 4409>"});
  EXPECT_EQ(again.id, alice.id);
  EXPECT_EQ(again.take(), Heard{"<in>"});
  says(again, "who");
  EXPECT_EQ(again.take(), Heard{"here are 1"});
  EXPECT_EQ(count(Counter::ClientsReplaced), 1U);
}

//
TEST_P(Returns, AThousandInARowAreOneClient) {
  open();
  joins(bob, "bob");
  std::array<FakeClient, 2> clients;
  for (int i = 0; i < 1000; ++i) {
    join(clients[static_cast<std::size_t>(i % 2)], "alice");
    if (i % 7 == 0) {
      shard->settle();
    }
  }
  shard->settle();
  EXPECT_EQ(room->client_count(), 2U);
  says(clients[1], "who");
  EXPECT_EQ(clients[1].take().back(), "here are 2");
}

TEST_P(Returns, BothMayBeThereIfSoConfigured) {
  settings.returning.twice = ReturnSettings::Twice::Both;
  open();
  joins(alice, "alice");
  joins(again, "alice");
  EXPECT_EQ(alice.take(), (Heard{"<in>", "you are 1"}));
  EXPECT_EQ(again.take(), (Heard{"<in>", "you are 2"}));
  room->leave(again.id);
  FakeClient third;
  joins(third, "alice");
  EXPECT_EQ(third.id, ClientId{2}) << "the absent one's place";
  room->leave(alice.id);
  room->leave(third.id);
  FakeClient fourth;
  joins(fourth, "alice", alice.resume);
  EXPECT_EQ(fourth.id, ClientId{1}) << "of two, the one whose token it has";
}

TEST_P(Returns, WhatIsSentMeanwhileIsLostUnlessKept) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  room->leave(alice.id);
  says(bob, "x");
  joins(again, "alice");
  EXPECT_EQ(again.take(), Heard{"<in>"});
  EXPECT_EQ(count(Counter::MessagesMissed), 1U);
}

TEST_P(Returns, WhatIsKeptComesInOrderAndWithoutAGap) {
  settings.returning.queue_bytes_max = 2;
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  room->leave(alice.id);
  for (int i = 0; i < 4; ++i) {
    says(bob, "x");
  }
  joins(again, "alice");
  EXPECT_EQ(again.take(), (Heard{"<in>", "1", "2"}));
  EXPECT_EQ(count(Counter::MessagesMissed), 2U);
  says(bob, "x");
  EXPECT_EQ(again.take(), Heard{"5"});
}

TEST_P(Returns, ALastWordIsAnsweredBeforeTheConnectionGoes) {
  open();
  joins(alice, "alice");
  alice.take();
  room->message(EventKind::Text, alice.id, "x");
  room->leave_in_order(alice.id);
  EXPECT_TRUE(alice.take().empty());
  shard->settle();
  EXPECT_EQ(alice.take(), (Heard{"1", "<left>"}));
  EXPECT_EQ(room->client_count(), 1U);
  joins(again, "alice");
  EXPECT_EQ(again.id, alice.id);
  EXPECT_EQ(again.take(), Heard{"<in>"});
}

TEST_P(Returns, OneWithNothingToHearGoesAtOnce) {
  open();
  joins(alice, "alice");
  alice.take();
  room->leave_in_order(alice.id);
  EXPECT_EQ(alice.take(), Heard{"<left>"});
  advance(5s);
  EXPECT_EQ(room->client_count(), 0U);
}

TEST_P(Returns, OneCanBeBackBeforeItsLastWordWasHeard) {
  open();
  joins(alice, "alice");
  alice.take();
  room->message(EventKind::Text, alice.id, "x");
  room->leave_in_order(alice.id);
  join(again, "alice");
  EXPECT_EQ(alice.take(), Heard{"<closed 4409>"});
  shard->settle();
  EXPECT_EQ(again.take(), (Heard{"<in>", "1"}));
  advance(1h);
  says(again, "who");
  EXPECT_EQ(again.take(), Heard{"here are 1"});
}

TEST_P(Returns, WhomTheServiceClosesHasLeft) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  bob.take();
  alice.take();
  says(alice, "close");
  EXPECT_EQ(alice.take(), (Heard{"<closed 4000>"}));
  EXPECT_EQ(bob.take(), Heard{"left 2"});
  joins(again, "alice");
  EXPECT_EQ(again.id, ClientId{3});
}

TEST_P(Returns, AnAbsentClientCanBeClosed) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  bob.take();
  room->leave(alice.id);
  EXPECT_TRUE(room->close_client(alice.id, 1001, "by an operator"));
  shard->settle();
  EXPECT_EQ(bob.take(), Heard{"left 2"});
  advance(1h);
  EXPECT_TRUE(bob.take().empty()) << "once";
}

TEST_P(Returns, WhoWasNeverLetInDoesNotComeBack) {
  open();
  join(alice, "alice");
  room->leave(alice.id);
  shard->settle();
  joins(again, "alice");
  EXPECT_EQ(again.id, ClientId{2});
}

TEST_P(Returns, AnotherCanTakeThePlaceOfOneWhoIsNotYetIn) {
  open();
  join(alice, "alice");
  join(again, "alice");
  shard->settle();
  EXPECT_EQ(alice.take(), Heard{"<closed 4409>"});
  EXPECT_EQ(again.take(), (Heard{"<in>", "you are 1"}));
}

TEST_P(Returns, ARoomEndsOnceItsLastAbsentClientHasLeft) {
  open();
  joins(alice, "alice");
  room->leave(alice.id);
  advance(4999ms);
  EXPECT_EQ(shard->ended, 0);
  advance(1ms);
  EXPECT_EQ(shard->ended, 0) << "its policy gives it a second";
  advance(1s);
  EXPECT_EQ(shard->ended, 1);
}

TEST_P(Returns, AFullRoomStillTakesItsOwnBack) {
  settings.clients_max = 1;
  open();
  joins(alice, "alice");
  room->leave(alice.id);
  EXPECT_TRUE(room->is_full());
  EXPECT_TRUE(room->expects("alice", ""));
  EXPECT_TRUE(room->expects("", alice.resume) == false) << "it has a subject";
  EXPECT_FALSE(room->expects("bob", ""));
}

INSTANTIATE_TEST_SUITE_P(Rooms, Returns, ::testing::Values(Durability::None, Durability::Async, Durability::Local),
                         [](const auto& tested) {
                           return tested.param == Durability::None    ? "Memory"
                                  : tested.param == Durability::Async ? "Async"
                                                                      : "Local";
                         });

class KeptReturns : public Returns {};

TEST_P(KeptReturns, AfterARestartThoseWhoWereThereHaveLeft) {
  open();
  joins(bob, "bob");
  joins(alice, "alice");
  room->leave(alice.id);
  shard->settle();
  open();
  FakeClient witness;
  joins(witness, "witness");
  says(witness, "who");
  EXPECT_EQ(witness.take().back(), "here are 1");
  joins(again, "alice", alice.resume);
  EXPECT_EQ(again.id, ClientId{4}) << "what was told before means nothing after";
}

TEST_P(KeptReturns, WhatAServiceLearntAtConnectIsReplayed) {
  auto info = std::make_unique<service::ConnectInfo>();
  info->subject = "alice";
  info->claims = {{"role", "admin"}};
  const service::Event event{.kind = EventKind::Connect, .client = ClientId{1}, .connect_info = info.get()};
  const std::string record = encode(event, {});
  const auto read = decode_event(1, record);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->info->subject, "alice");
  EXPECT_EQ(read->info->claims, info->claims);
}

INSTANTIATE_TEST_SUITE_P(Rooms, KeptReturns, ::testing::Values(Durability::Local));

}  // namespace
}  // namespace jamsocket::room
