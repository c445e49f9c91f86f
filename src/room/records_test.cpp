#include "room/records.hpp"

#include <gtest/gtest.h>

namespace jamsocket::room {
namespace {

using service::Event;
using service::EventKind;
using service::Outcome;

TEST(Records, EventsComeBackAsTheyWere) {
  const service::ConnectInfo info{
      .query = "a=1&b", .remote_address = "::1", .headers = {{"origin", "http://x"}, {"empty", ""}}};
  Event event{.kind = EventKind::Connect, .client = ClientId{7}, .connect_info = &info, .time_ms = 123, .number = 9};
  std::string bytes = encode(event, {.outcome = Outcome::Done, .refused = true});
  auto back = decode_event(9, bytes);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->event.client, ClientId{7});
  EXPECT_EQ(back->event.number, 9U);
  EXPECT_EQ(back->event.time_ms, 123);
  EXPECT_TRUE(back->outcome.refused);
  EXPECT_EQ(back->event.connect_info->query, info.query);
  EXPECT_EQ(back->event.connect_info->headers, info.headers);
  EXPECT_TRUE(back->event.replayed);

  event = {.kind = EventKind::Binary, .client = ClientId{1}, .payload = std::string_view("\0\1", 2), .time_ms = 5};
  bytes = encode(event, {.outcome = Outcome::CpuLimit});
  back = decode_event(1, bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->event.payload, std::string_view("\0\1", 2));
  EXPECT_EQ(back->outcome.outcome, Outcome::CpuLimit);
}

TEST(Records, CutShortTheyAreNoEvents) {
  const service::ConnectInfo info{.query = "q", .remote_address = "a", .headers = {{"n", "v"}}};
  const Event event{.kind = EventKind::Connect, .client = ClientId{1}, .connect_info = &info};
  const std::string bytes = encode(event, {});
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_event(1, std::string_view(bytes).substr(0, length))) << length;
  }
  EXPECT_FALSE(decode_event(1, bytes + "x"));
  std::string unknown = bytes;
  unknown[0] = 6;
  EXPECT_FALSE(decode_event(1, unknown));
}

TEST(Records, BirthsAndCheckpointsComeBack) {
  const Birth birth{.seed = {std::byte{1}, std::byte{9}}, .time_ms = 77, .version = "abc"};
  const auto born = decode_birth(encode(birth));
  ASSERT_TRUE(born);
  EXPECT_EQ(born->seed, birth.seed);
  EXPECT_EQ(born->time_ms, 77);
  EXPECT_EQ(born->version, "abc");

  const RoomSide side{.last_event = 4, .last_time_ms = 5, .timer_ms = 6, .last_client = 3, .present = {1, 3}};
  const std::string bytes = encode(CheckpointParts{.side = side, .version = "v", .state = "the state"});
  const auto parts = decode_checkpoint(bytes);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->side, side);
  EXPECT_EQ(parts->version, "v");
  EXPECT_EQ(parts->state, "the state");

  std::string newer = encode(birth);
  newer[0] = 2;
  EXPECT_EQ(decode_birth(newer).error().code, ErrorCode::Unsupported);
}

TEST(Records, TheRoomsSideFollowsItsEvents) {
  RoomSide side;
  const auto happen = [&](EventKind kind, std::uint32_t client, EventOutcome outcome = {}) {
    side.note({.kind = kind, .client = ClientId{client}, .time_ms = 10, .number = side.last_event + 1}, outcome);
  };
  happen(EventKind::Connect, 1);
  happen(EventKind::Connect, 2);
  happen(EventKind::Connect, 3, {.refused = true});
  happen(EventKind::Connect, 4, {.outcome = Outcome::Trap});
  happen(EventKind::Disconnect, 1);
  happen(EventKind::Disconnect, 9);
  EXPECT_EQ(side.present, std::vector<std::uint32_t>{2});
  EXPECT_EQ(side.last_client, 4U);
  EXPECT_EQ(side.last_event, 6U);

  service::Effects effects;
  effects.set_timer(100);
  effects.set_timer(250);
  side.note_timer(effects, 1000);
  EXPECT_EQ(side.timer_ms, 1250);
  happen(EventKind::Timer, 0);
  EXPECT_EQ(side.timer_ms, 0);
  effects.clear();
  effects.set_timer_at_once();
  side.note_timer(effects, 1000);
  EXPECT_EQ(side.timer_ms, 1000);
  effects.clear();
  effects.set_timer(0);
  side.note_timer(effects, 1000);
  EXPECT_EQ(side.timer_ms, 0);
}

}  // namespace
}  // namespace jamsocket::room
