#include "room/room.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "room/testing.hpp"
#include "service/native.hpp"

namespace jamsocket::room {
namespace {

using service::EventKind;

// Records every callback in the room's own messages, and obeys a few words.
class Probe {
 public:
  Probe(std::string_view room, Context& context) {
    context.send_message(broadcast, "nobody hears this");
    if (room == "ticking") {
      context.set_timer(1000);
    }
    if (room == "stillborn") {
      throw std::runtime_error("no");
    }
  }
  void connect(ClientId client, const ClientInfo& info, Context& context) {
    context.send_message(client, "welcome");
    context.send_message(everyone_except(client), "joined");
    if (info.query() == "no") {
      context.refuse("not you");
    }
  }
  void disconnect(ClientId client, Context& context) {
    context.send_message(broadcast, "left " + std::to_string(static_cast<std::uint32_t>(client)));
  }
  void message(ClientId client, std::string_view text, Context& context) {
    if (text == "throw") {
      throw std::runtime_error("as asked");
    }
    if (text == "close me") {
      context.send_message(client, "bye");
      context.close(client, 4000, "as asked");
      context.send_message(client, "too late");
      return;
    }
    if (text == "timer") {
      context.set_timer(500);
      return;
    }
    if (text == "cancel") {
      context.set_timer(0);
      return;
    }
    context.send_message(broadcast, text);
  }
  void timer(Context& context) { context.send_message(broadcast, "tick"); }
};

struct HasClock {
  ManualClock wall;
};

// A shard that keeps nothing.
class FakeHost final : public HasClock, public testing::BasicHost {
 public:
  FakeHost() : BasicHost(wall) {}
  void run() { run_rooms(); }
  void advance(Milliseconds by) {
    clock.advance(by);
    timer_heap.run_due(clock.steady());
    run();
  }
};

struct FakeClient final : ClientLink {
  void admitted() override { heard.emplace_back("<in>"); }
  void subprotocol_accepted(std::string_view name) override {
    heard.push_back("<subprotocol " + std::string(name) + ">");
  }
  void refused(std::string_view reason) override { heard.push_back("<refused " + std::string(reason) + ">"); }
  void room_failed() override { heard.emplace_back("<failed>"); }
  void push(Message& message) override {
    heard.emplace_back(message.payload);
    last_frame = message.plain([this, &message] { return arena.append(message.payload, {}); });
  }
  void close(std::uint16_t code, std::string_view reason) override {
    heard.push_back("<closed " + std::to_string(code) + " " + std::string(reason) + ">");
  }
  void left() override { heard.emplace_back("<left>"); }
  void resume_reading() override { ++resumed; }
  void numbered(ClientId) override {}
  void room_unknown() override { heard.emplace_back("<unknown>"); }
  void unavailable(std::string_view) override { heard.emplace_back("<unavailable>"); }

  std::vector<std::string> heard;
  OutputArena arena;
  int resumed = 0;
  Slice last_frame;
};

using Heard = std::vector<std::string>;

class RoomTest : public ::testing::Test {
 protected:
  Room& make(const std::string& id) {
    room = std::make_unique<Room>(id, *probe, settings, host);
    return *room;
  }
  ClientId join(FakeClient& client, std::string query = {}) {
    auto info = std::make_unique<service::ConnectInfo>();
    info->query = std::move(query);
    const ClientId id = room->join(client, std::move(info));
    host.run();
    return id;
  }
  void say(ClientId client, std::string_view text) {
    room->message(EventKind::Text, client, text);
    host.run();
  }

  RoomSettings settings;
  FakeHost host;
  std::unique_ptr<service::Service> probe =
      service::make_native_service("probe", jamsocket::detail::native_service_factory<Probe>());
  std::unique_ptr<Room> room;
  FakeClient alice;
  FakeClient bob;
};

TEST_F(RoomTest, ANewcomerIsAMemberBeforeConnectRuns) {
  make("r");
  EXPECT_EQ(join(alice), ClientId{1});
  EXPECT_EQ(join(bob), ClientId{2});
  EXPECT_EQ(alice.heard, (Heard{"<in>", "welcome", "joined"}));
  EXPECT_EQ(bob.heard, (Heard{"<in>", "welcome"}));
}

TEST_F(RoomTest, ABroadcastIsEncodedOnce) {
  make("r");
  const ClientId a = join(alice);
  join(bob);
  say(a, "hello");
  EXPECT_EQ(alice.last_frame, bob.last_frame);
  EXPECT_EQ(alice.heard.back(), "hello");
  EXPECT_EQ(bob.heard.back(), "hello");
}

TEST_F(RoomTest, EventsKeepTheirOrderWhenTheyComeTogether) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  for (const char* text : {"1", "2", "3"}) {
    room->message(EventKind::Text, a, text);
  }
  host.run();
  EXPECT_EQ(alice.heard, (Heard{"1", "2", "3"}));
}

// Goal: what a message says is what was received, whenever it runs. Method: the receive buffer is written over as soon
// as the room was asked to keep what it waits with.
TEST_F(RoomTest, WhatIsThereForTheTurnIsKeptWhenTheTurnIsOver) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  std::string received = "firstsecond";
  room->message(EventKind::Text, a, std::string_view(received).substr(0, 5), PayloadStays::ForTheTurn);
  room->join(bob, nullptr);
  room->message(EventKind::Text, a, std::string_view(received).substr(5), PayloadStays::ForTheTurn);
  room->keep_events();
  received.assign("overwritten");
  room->message(EventKind::Text, a, received, PayloadStays::ForTheTurn);
  room->keep_events();
  received.assign("...........");
  host.run();
  EXPECT_EQ(alice.heard, (Heard{"first", "joined", "second", "overwritten"}));
}

TEST_F(RoomTest, WhatIsLeftOfATurnIsKeptBehindTheCallsThatWereMade) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  std::string received = "123";
  for (std::size_t i = 0; i < received.size(); ++i) {
    room->message(EventKind::Text, a, std::string_view(received).substr(i, 1), PayloadStays::ForTheTurn);
  }
  ASSERT_TRUE(room->begin_call(host.call));
  room->message(EventKind::Text, a, "4", PayloadStays::ForTheTurn);
  room->keep_events();
  host.call.run();
  EXPECT_TRUE(room->finish_call(host.call));
  received.assign("...");
  host.run();
  EXPECT_EQ(alice.heard, (Heard{"1", "2", "3", "4"}));
}

TEST_F(RoomTest, WhatComesDuringACallIsKeptAtOnce) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  room->message(EventKind::Text, a, "slow");
  ASSERT_TRUE(room->begin_call(host.call));
  std::string received = "meanwhile";
  room->message(EventKind::Text, a, received, PayloadStays::ForTheTurn);
  received.assign(".........");
  host.call.run();
  EXPECT_TRUE(room->finish_call(host.call));
  host.run();
  EXPECT_EQ(alice.heard, (Heard{"slow", "meanwhile"}));
}

TEST_F(RoomTest, ClientIdsAreNeverUsedTwice) {
  make("r");
  const ClientId a = join(alice);
  room->leave(a);
  host.run();
  EXPECT_EQ(join(bob), ClientId{2});
  room->leave(a);
  host.run();
  EXPECT_EQ(bob.heard, (Heard{"<in>", "welcome"})) << "leaving twice is nothing";
}

TEST_F(RoomTest, ARefusedClientHearsOnlyThat) {
  make("r");
  join(alice);
  join(bob, "no");
  EXPECT_EQ(bob.heard, (Heard{"<refused not you>"}));
  EXPECT_EQ(alice.heard.back(), "joined") << "what connect told the others stands";
  EXPECT_EQ(room->client_count(), 1U);
}

TEST_F(RoomTest, CloseLetsWhatCameBeforeThroughAndTellsTheService) {
  make("r");
  const ClientId a = join(alice);
  join(bob);
  alice.heard.clear();
  bob.heard.clear();
  say(a, "close me");
  EXPECT_EQ(alice.heard, (Heard{"bye", "<closed 4000 as asked>"}));
  EXPECT_EQ(bob.heard, (Heard{"left 1"}));
}

TEST_F(RoomTest, WhoLeavesInOrderIsAnsweredFirst) {
  make("r");
  const ClientId a = join(alice);
  join(bob);
  alice.heard.clear();
  room->message(EventKind::Text, a, "last words");
  room->leave_in_order(a);
  room->message(EventKind::Text, ClientId{2}, "later");
  host.run();
  EXPECT_EQ(alice.heard, (Heard{"last words", "<left>"}));
  EXPECT_EQ(bob.heard, (Heard{"<in>", "welcome", "last words", "left 1", "later"}));
}

TEST_F(RoomTest, TheServiceIsToldOnceOfWhoLeavesTwice) {
  make("r");
  const ClientId a = join(alice);
  join(bob);
  bob.heard.clear();
  room->message(EventKind::Text, a, "close me");
  room->leave_in_order(a);
  host.run();
  EXPECT_EQ(bob.heard, (Heard{"left 1"}));
  const ClientId c = join(alice);
  bob.heard.clear();
  room->leave_in_order(c);
  room->leave(c);
  host.run();
  EXPECT_EQ(bob.heard, (Heard{"left 3"}));
}

TEST_F(RoomTest, OneTimerThatIsReplacedAndCancelled) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  say(a, "timer");
  host.advance(Milliseconds{499});
  EXPECT_TRUE(alice.heard.empty());
  say(a, "timer");
  host.advance(Milliseconds{499});
  EXPECT_TRUE(alice.heard.empty()) << "replaced";
  host.advance(Milliseconds{1});
  EXPECT_EQ(alice.heard, (Heard{"tick"}));
  say(a, "timer");
  say(a, "cancel");
  host.advance(Milliseconds{1000});
  EXPECT_EQ(alice.heard, (Heard{"tick"}));
}

// Goal: what a message does to the timer holds, also when the timer was due before the message ran.
TEST_F(RoomTest, ATimerThatIsDueCanStillBeReplacedAndCancelled) {
  make("r");
  const ClientId a = join(alice);
  alice.heard.clear();
  const auto is_due_behind = [&](std::string_view text) {
    say(a, "timer");
    room->message(EventKind::Text, a, text);
    host.advance(Milliseconds{500});
  };
  is_due_behind("cancel");
  host.advance(Milliseconds{1000});
  EXPECT_TRUE(alice.heard.empty()) << "cancelled";
  is_due_behind("timer");
  host.advance(Milliseconds{499});
  EXPECT_TRUE(alice.heard.empty()) << "replaced";
  host.advance(Milliseconds{1});
  EXPECT_EQ(alice.heard, (Heard{"tick"}));
  is_due_behind("x");
  EXPECT_EQ(alice.heard, (Heard{"tick", "x", "tick"})) << "left as it was";
}

TEST_F(RoomTest, AConstructorsTimerCountsAndItsMessagesDoNot) {
  make("ticking");
  join(alice);
  EXPECT_EQ(alice.heard, (Heard{"<in>", "welcome"}));
  host.advance(Milliseconds{1000});
  EXPECT_EQ(alice.heard.back(), "tick");
}

TEST_F(RoomTest, ATrapEndsTheRoomForAllItsClients) {
  make("r");
  const ClientId a = join(alice);
  join(bob);
  room->message(EventKind::Text, a, "throw");
  room->message(EventKind::Text, a, "never handled");
  host.run();
  EXPECT_EQ(alice.heard.back(), "<failed>");
  EXPECT_EQ(bob.heard.back(), "<failed>");
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomTest, ARoomThatWasMadeExplicitlyStartsAfreshAfterATrap) {
  settings.after_failure = RoomSettings::AfterFailure::StartAfresh;
  make("r");
  const ClientId a = join(alice);
  say(a, "throw");
  EXPECT_EQ(host.ended, 0);
  EXPECT_EQ(join(bob), ClientId{1});
  EXPECT_EQ(bob.heard, (Heard{"<in>", "welcome"}));
}

TEST_F(RoomTest, AServiceThatCannotStartFailsTheJoin) {
  make("stillborn");
  join(alice);
  EXPECT_EQ(alice.heard, (Heard{"<failed>"}));
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomTest, AnEmptyRoomEndsWhenItsTimeIsUpAndNotBefore) {
  settings.shutdown_policy = *ShutdownPolicy::parse("10sec");
  make("r");
  const ClientId a = join(alice);
  host.advance(std::chrono::seconds{60});
  EXPECT_EQ(host.ended, 0) << "not while someone is in";
  room->leave(a);
  host.run();
  host.advance(Milliseconds{9'999});
  EXPECT_EQ(host.ended, 0);
  const ClientId b = join(bob);
  host.advance(std::chrono::seconds{60});
  EXPECT_EQ(host.ended, 0) << "someone came in time";
  room->leave(b);
  host.run();
  host.advance(std::chrono::seconds{10});
  EXPECT_EQ(host.ended, 1);
}

// Goal: what happens to a room while a call is under way is handled when it has ended. Method: a call is begun and
// finished by hand.
class RoomInACall : public RoomTest {
 protected:
  void begin() {
    make("r");
    client = join(alice);
    alice.heard.clear();
    room->message(EventKind::Text, client, "hello");
    host.queue.clear();
    ASSERT_TRUE(room->begin_call(host.call));
  }
  void finish() {
    host.call.run();
    if (room->finish_call(host.call)) {
      host.queue.push_back(room.get());
    }
    host.run();
  }
  ClientId client{};
};

TEST_F(RoomInACall, ItsLastClientLeavesAndItEndsAfterwards) {
  settings.shutdown_policy = *ShutdownPolicy::parse("immediate");
  begin();
  room->leave(client);
  host.advance(std::chrono::seconds{60});
  EXPECT_EQ(host.ended, 0);
  finish();
  EXPECT_TRUE(alice.heard.empty()) << "nobody was there to hear it";
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomInACall, ItsShutdownIsDueAndWaits) {
  settings.shutdown_policy = *ShutdownPolicy::parse("10sec");
  make("r");
  client = join(alice);
  say(client, "timer");  // Due in 500 ms.
  room->leave(client);
  host.run();
  host.clock.advance(Milliseconds{500});
  host.timer_heap.run_due(host.clock.steady());
  host.queue.clear();
  ASSERT_TRUE(room->begin_call(host.call)) << "an event of a room without clients";
  host.clock.advance(std::chrono::seconds{60});
  host.timer_heap.run_due(host.clock.steady());
  EXPECT_EQ(host.ended, 0);
  finish();
  host.advance(std::chrono::seconds{10});
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomInACall, AnOperatorClosesIt) {
  begin();
  room->close(4001, "go");
  EXPECT_EQ(alice.heard, Heard{"<closed 4001 go>"}) << "at once, not when the call ends";
  EXPECT_EQ(host.ended, 0);
  finish();
  EXPECT_EQ(host.ended, 1);
  EXPECT_EQ(host.counter_set.get(Counter::EventsHandled), 3U) << "the service heard of the leaving";
}

TEST_F(RoomInACall, WhoComesMeanwhileIsLetInAfterwards) {
  begin();
  (void)room->join(bob, std::make_unique<service::ConnectInfo>());
  room->message(EventKind::Text, client, "second");
  EXPECT_TRUE(host.queue.empty()) << "it is in a call";
  EXPECT_TRUE(bob.heard.empty());
  finish();
  EXPECT_EQ(alice.heard, (Heard{"hello", "joined", "second"}));
  // A member from the start, but what came before it was let in goes past it: as a session does, see push.
  EXPECT_EQ(bob.heard.back(), "second");
}

TEST_F(RoomInACall, ItFailsAfterEverybodyLeft) {
  make("r");
  client = join(alice);
  room->message(EventKind::Text, client, "throw");
  host.queue.clear();
  ASSERT_TRUE(room->begin_call(host.call));
  room->leave(client);
  finish();
  EXPECT_EQ(host.failed, 1);
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomTest, ImmediateMeansWhenTheLastOneLeft) {
  settings.shutdown_policy = *ShutdownPolicy::parse("immediate");
  make("r");
  room->expect_clients();
  host.advance(std::chrono::seconds{60});
  EXPECT_EQ(host.ended, 0) << "a room made by hand waits for its first client";
  const ClientId a = join(alice);
  room->leave(a);
  host.run();
  EXPECT_EQ(host.ended, 1);
}

TEST_F(RoomTest, AFullInboxStopsReadersUntilItIsWorkedOff) {
  settings.inbox_bytes_max = 1000;
  make("r");
  const ClientId a = join(alice);
  room->message(EventKind::Binary, a, std::string(500, 'x'));
  EXPECT_FALSE(room->inbox_is_full());
  room->message(EventKind::Binary, a, std::string(500, 'x'));
  EXPECT_TRUE(room->inbox_is_full());
  EXPECT_EQ(alice.resumed, 0);
  host.run();
  EXPECT_FALSE(room->inbox_is_full());
  EXPECT_EQ(alice.resumed, 1);
}

TEST_F(RoomTest, TimeNeverGoesBackWithinARoom) {
  make("r");
  const ClientId a = join(alice);
  room->message(EventKind::Text, a, "x");
  ASSERT_TRUE(room->begin_call(host.call));
  const std::int64_t before = host.call.event.time_ms;
  host.call.run();
  room->finish_call(host.call);
  host.clock.advance(Milliseconds{-5000});
  room->message(EventKind::Text, a, "y");
  ASSERT_TRUE(room->begin_call(host.call));
  EXPECT_GE(host.call.event.time_ms, before);
  EXPECT_EQ(host.call.event.number, 3U);
  host.call.run();
  room->finish_call(host.call);
}

}  // namespace
}  // namespace jamsocket::room
