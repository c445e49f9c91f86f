// Goal: a room is its captured bytes. Every guest is told a story of random events; in between it is
// captured, put back and told the rest, and must end with the same memory as one that was left alone.

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "wasm/testing.hpp"

namespace jamsocket::wasm {
namespace {

using service::EventKind;

constexpr service::RoomStart kStart{
    .room_id = "kept", .seed = {std::byte{1}, std::byte{2}}, .time_ms = 1'700'000'000'000};

std::string state_of(const service::ServiceInstance& instance) {
  std::string state;
  EXPECT_EQ(instance.capture(state), service::Outcome::Done);
  return state;
}

// One event a number; the same number, the same event.
struct Story {
  explicit Story(std::uint32_t seed) : random(seed) {}
  service::Event next() {
    static constexpr std::string_view kWords[] = {"increment", "decrement", "",          "hello",
                                                  "count",     "timer 5",   "big 20000", "many 10"};
    service::Event event;
    event.number = ++number;
    event.time_ms = time_ms += static_cast<std::int64_t>(random() % 100);
    event.client = ClientId{static_cast<std::uint32_t>(random() % 5 + 1)};
    switch (random() % 8) {
      case 0:
        event.kind = EventKind::Connect;
        event.connect_info = &info;
        break;
      case 1:
        event.kind = EventKind::Disconnect;
        break;
      case 2:
        event.kind = EventKind::Timer;
        break;
      case 3:
        event.kind = EventKind::Binary;
        event.payload = std::string_view("\0\1\2\3", 4);
        break;
      default:
        event.kind = EventKind::Text;
        event.payload = kWords[random() % std::size(kWords)];
    }
    return event;
  }
  std::mt19937 random;
  std::uint64_t number = 0;
  std::int64_t time_ms = kStart.time_ms;
  service::ConnectInfo info{.query = "a=1", .remote_address = "127.0.0.1", .headers = {}};
};

void tell(service::ServiceInstance& instance, Story& story, int events) {
  service::Effects effects;
  for (int i = 0; i < events; ++i) {
    effects.clear();
    ASSERT_EQ(instance.handle(story.next(), effects), service::Outcome::Done) << instance.fault().reason;
  }
}

class Capture : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<service::Service> service() { return make_module_service("kept", loaded(), {}); }
  std::shared_ptr<const Module> loaded() { return testing::loaded(engine, testing::read_file(GetParam())); }
  static std::unique_ptr<service::ServiceInstance> fresh(service::Service& service) {
    service::Effects effects;
    auto made = service.create(kStart, effects);
    EXPECT_TRUE(made) << made.error().reason;
    return std::move(*made);
  }
  Engine engine;
};

TEST_P(Capture, TheSameEventsLeadToTheSameMemory) {
  const auto type = service();
  ASSERT_TRUE(type->obstacles_to_capture().empty()) << type->obstacles_to_capture().front();
  const auto one = fresh(*type);
  const auto two = fresh(*type);
  Story first(42);
  Story second(42);
  tell(*one, first, 20'000);
  tell(*two, second, 20'000);
  EXPECT_EQ(state_of(*one), state_of(*two));
}

TEST_P(Capture, APutBackRoomGoesOnAsIfNothingHadHappened) {
  const auto type = service();
  const auto alone = fresh(*type);
  auto moved = fresh(*type);
  Story first(7);
  Story second(7);
  for (int round = 0; round < 10; ++round) {
    tell(*alone, first, 500);
    tell(*moved, second, 500);
    const std::string state = state_of(*moved);
    moved.reset();
    // Somebody else's room in between: the slot of memory has been used.
    Story other(static_cast<std::uint32_t>(round));
    tell(*fresh(*type), other, 100);
    auto restored = type->restore(kStart, state);
    ASSERT_TRUE(restored) << restored.error().reason;
    moved = std::move(*restored);
    ASSERT_EQ(state_of(*moved), state) << "round " << round;
  }
  EXPECT_EQ(state_of(*moved), state_of(*alone));
}

TEST_P(Capture, BytesThatAreNotAStateAreRefused) {
  const auto type = service();
  const std::string state = state_of(*fresh(*type));
  for (const std::size_t length : {std::size_t{0}, std::size_t{8}, std::size_t{20}, state.size() - 1}) {
    EXPECT_FALSE(type->restore(kStart, std::string_view(state).substr(0, length))) << length;
  }
  std::string larger = state;
  larger[4] = '\x7f';  // A memory of half a terabyte.
  const auto refused = type->restore(kStart, larger);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason.find("does not fit the module"), std::string::npos);
  EXPECT_FALSE(type->restore(kStart, state + "x"));
}

std::vector<std::string> guests() {
  std::vector<std::string> found;
  for (const char* name : {"counter", "echo", "chat", "clock", "randomness"}) {
    found.push_back(std::string(JAMSOCKET_EXAMPLES_DIR "/") + name + ".wasm");
  }
  found.emplace_back(JAMSOCKET_GUESTS_DIR "/stateroom_counter.wasm");
  // Where their compilers are there.
  for (const char* name :
       {"counter_rust", "counter_jamsocket_crate", "counter_stateroom_crate", "counter_assemblyscript"}) {
    if (const std::string path = std::string(JAMSOCKET_SDK_DIR "/") + name + ".wasm"; std::filesystem::exists(path)) {
      found.push_back(path);
    }
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(Guests, Capture, ::testing::ValuesIn(guests()),
                         [](const auto& guest) { return std::filesystem::path(guest.param).stem().string(); });

}  // namespace
}  // namespace jamsocket::wasm
