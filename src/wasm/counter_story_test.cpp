// Goal: the counter is the same counter in every language. Method: one story, told to each module and
// to the native service.

#include <gmock/gmock.h>

#include <filesystem>

#include "service/native.hpp"
#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using service::Outcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TestRoom;

void tell_the_story(TestRoom& room) {
  ASSERT_TRUE(room.started()) << room.start_fault.reason;
  EXPECT_THAT(room.start_effects, IsEmpty());
  ASSERT_EQ(room.connect(1), Outcome::Done);
  EXPECT_THAT(room.texts(), IsEmpty());
  ASSERT_EQ(room.connect(2), Outcome::Done);
  ASSERT_EQ(room.text("increment", 1), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: 1"));
  EXPECT_EQ(room.effects.list()[0].recipient, Recipient(broadcast));
  EXPECT_EQ(room.effects.list()[0].kind, service::EffectKind::SendText);
  ASSERT_EQ(room.text("decrement", 2), Outcome::Done);
  ASSERT_EQ(room.text("decrement", 2), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: -1"));
  ASSERT_EQ(room.text("", 2), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: -1"));
  ASSERT_EQ(room.text("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80", 2), Outcome::Done);
  EXPECT_THAT(room.texts(), ElementsAre("new value: -1"));
  ASSERT_EQ(room.disconnect(2), Outcome::Done);
  ASSERT_EQ(room.binary("increment", 1), Outcome::Done);
  ASSERT_EQ(room.timer(), Outcome::Done);
  EXPECT_THAT(room.texts(), IsEmpty());
  const std::string long_text(100'000, 'x');
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_EQ(room.text(long_text, 1), Outcome::Done) << i << ": " << room.fault().reason;
    ASSERT_EQ(room.text("increment", 1), Outcome::Done) << i << ": " << room.fault().reason;
  }
  EXPECT_THAT(room.texts(), ElementsAre("new value: 1999"));
}

class CounterStory : public ::testing::TestWithParam<const char*> {};

TEST_P(CounterStory, IsTheSameInEveryLanguage) {
  const std::string path = GetParam();
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << path << " was not built: its toolchain is missing";
  }
  const Engine engine;
  TestRoom room(engine, testing::read_file(path));
  tell_the_story(room);
}

INSTANTIATE_TEST_SUITE_P(Languages, CounterStory,
                         ::testing::Values(JAMSOCKET_EXAMPLES_DIR "/counter.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_rust.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_jamsocket_crate.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_stateroom_crate.wasm",
                                           JAMSOCKET_SDK_DIR "/counter_assemblyscript.wasm",
                                           JAMSOCKET_GUESTS_DIR "/stateroom_counter.wasm"),
                         [](const auto& test) { return std::filesystem::path(test.param).stem().string(); });

class NativeCounter {
 public:
  NativeCounter(std::string_view /*room_id*/, Context& /*context*/) {}
  void message(ClientId /*client*/, std::string_view text, Context& context) {
    value_ += text == "increment" ? 1 : text == "decrement" ? -1 : 0;
    context.send_message(broadcast, "new value: " + std::to_string(value_));
  }

 private:
  int value_ = 0;
};

TEST(NativeCounterStory, IsTheSame) {
  TestRoom room(service::make_native_service("counter", detail::native_service_factory<NativeCounter>()));
  tell_the_story(room);
}

}  // namespace
}  // namespace jamsocket::wasm
