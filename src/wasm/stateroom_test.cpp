// Rooms of modules that speak Stateroom 1/0.

#include <gmock/gmock.h>

#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using service::EffectKind;
using service::Outcome;
using ::testing::ElementsAre;
using testing::guest_bytes;
using ::testing::HasSubstr;
using testing::TestRoom;

class StateroomRooms : public ::testing::Test {
 protected:
  Engine engine_;
};

TEST_F(StateroomRooms, AreRecognised) {
  const auto module = testing::loaded(engine_, guest_bytes("stateroom_echo"));
  EXPECT_EQ(module->facts().abi, Abi::Stateroom);
  EXPECT_EQ(module->facts().version, kAbiVersion);
}

TEST_F(StateroomRooms, EchoToTheOthers) {
  TestRoom room(engine_, guest_bytes("stateroom_echo"));
  ASSERT_TRUE(room.started()) << room.start_fault.reason;
  ASSERT_EQ(room.text("hello", 7), Outcome::Done);
  ASSERT_EQ(room.effects.list().size(), 1U);
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(everyone_except(ClientId{7})));
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::SendText);
  EXPECT_THAT(room.texts(), ElementsAre("hello"));
  ASSERT_EQ(room.binary("\x01\x02", 9), Outcome::Done);
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::SendBinary);
  EXPECT_THAT(room.texts(), ElementsAre("\x01\x02"));
  ASSERT_EQ(room.text("", 9), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre(""));
  ASSERT_EQ(room.disconnect(9), Outcome::Done);
  EXPECT_TRUE(room.effects.empty());
}

TEST_F(StateroomRooms, TakeATimerOfZeroAsAtOnce) {
  TestRoom room(engine_, guest_bytes("stateroom_echo"));
  ASSERT_EQ(room.connect(1), Outcome::Done);
  ASSERT_EQ(room.effects.list().size(), 1U);
  EXPECT_EQ(room.effects.list()[0].kind, EffectKind::SetTimer);
  EXPECT_TRUE(room.effects.list()[0].timer_at_once);
}

TEST_F(StateroomRooms, EndWhenTheySendWhatCannotBeRead) {
  TestRoom cut(engine_, guest_bytes("stateroom_echo"));
  EXPECT_EQ(cut.timer(), Outcome::BadCall);
  EXPECT_THAT(cut.fault().reason, HasSubstr("7 bytes that are not a message"));
  EXPECT_EQ(cut.fault().backtrace, "recv\n");
  TestRoom outside(engine_, guest_bytes("stateroom_echo"));
  EXPECT_EQ(outside.text("!"), Outcome::BadCall);
  EXPECT_THAT(outside.fault().reason, HasSubstr("4294967280 bytes at 64 are outside"));
  TestRoom not_text(engine_, guest_bytes("stateroom_echo"));
  EXPECT_EQ(not_text.text("~"), Outcome::BadCall);
  EXPECT_THAT(not_text.fault().reason, HasSubstr("not valid UTF-8"));
}

}  // namespace
}  // namespace jamsocket::wasm
