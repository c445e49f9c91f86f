#include "service/native.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace jamsocket::service {
namespace {

class Counter {
 public:
  Counter(std::string_view, Context&) {}
  void message(ClientId client, std::string_view text, Context& context) {
    if (text == "throw") {
      throw std::runtime_error("oh");
    }
    if (text == "bad") {
      context.send_message(client, "\xff");
    }
    context.send_message(broadcast, "new value: " + std::to_string(++value_));
  }

 private:
  int value_ = 0;
};

class Empty {
 public:
  Empty(std::string_view, Context&) {}
};

class Doorkeeper {
 public:
  Doorkeeper(std::string_view, Context&) {}
  void connect(ClientId client, const ClientInfo& info, Context& context) {
    if (info.query() != "key=1") {
      context.refuse("no key");
    }
    context.send_message(client, std::string(info.header("User-Agent").value_or("none")));
  }
};

Event text_event(std::string_view text) {
  return {.kind = EventKind::Text, .client = ClientId{1}, .payload = text, .number = 1};
}

class Linguist {
 public:
  Linguist(std::string_view, Context&) {}
  void connect(ClientId client, const ClientInfo&, Context& context) {
    for (const std::string_view name : {"", "a", "b, c", "b", "c"}) {
      context.send_message(client, context.accept_subprotocol(name) ? "yes" : "no");
    }
  }
  void message(ClientId, std::string_view, Context& context) { context.accept_subprotocol("b"); }
};

TEST(NativeService, AcceptsTheFirstSubprotocolThatIsOffered) {
  const auto service = make_native_service("linguist", detail::native_service_factory<Linguist>());
  Effects effects;
  auto instance = service->create({.room_id = "r"}, effects);
  ASSERT_TRUE(instance.has_value());
  const ConnectInfo info{.query = {}, .remote_address = {}, .headers = {{std::string(kSubprotocolHeader), "aa, b, c"}}};
  const Event connect{.kind = EventKind::Connect, .client = ClientId{1}, .connect_info = &info, .number = 1};
  ASSERT_EQ((*instance)->handle(connect, effects), Outcome::Done);
  EXPECT_EQ(effects.accepted_subprotocol(), "b");
  std::string answers;
  for (const Effect& effect : effects.list()) {
    answers += effect.kind == EffectKind::SendText ? std::string(effects.bytes_of(effect)) + " " : "";
  }
  EXPECT_EQ(answers, "no no no yes no ");
  effects.clear();
  EXPECT_FALSE(effects.accepted_subprotocol().has_value());
  const Event unknown{.kind = EventKind::Connect, .client = ClientId{2}, .number = 2};
  ASSERT_EQ((*instance)->handle(unknown, effects), Outcome::Done);
  EXPECT_FALSE(effects.accepted_subprotocol().has_value());
  EXPECT_EQ((*instance)->handle(text_event("x"), effects), Outcome::BadCall);
}

TEST(NativeService, HandlesEventsAndKeepsState) {
  const auto service = make_native_service("counter", detail::native_service_factory<Counter>());
  Effects effects;
  auto instance = service->create({.room_id = "r"}, effects);
  ASSERT_TRUE(instance.has_value());
  ASSERT_EQ((*instance)->handle(text_event("x"), effects), Outcome::Done);
  effects.clear();
  ASSERT_EQ((*instance)->handle(text_event("x"), effects), Outcome::Done);
  EXPECT_EQ(effects.bytes_of(effects.list()[0]), "new value: 2");
}

TEST(NativeService, ContainsExceptionsAndBadCalls) {
  const auto service = make_native_service("counter", detail::native_service_factory<Counter>());
  Effects effects;
  auto instance = service->create({.room_id = "r"}, effects);
  EXPECT_EQ((*instance)->handle(text_event("throw"), effects), Outcome::Trap);
  EXPECT_EQ((*instance)->fault().reason, "exception: oh");
  EXPECT_EQ((*instance)->handle(text_event("bad"), effects), Outcome::BadCall);
}

TEST(NativeService, NeedsOnlyAConstructor) {
  const auto service = make_native_service("empty", detail::native_service_factory<Empty>());
  Effects effects;
  auto instance = service->create({.room_id = "r"}, effects);
  for (const EventKind kind :
       {EventKind::Connect, EventKind::Disconnect, EventKind::Text, EventKind::Binary, EventKind::Timer}) {
    EXPECT_EQ((*instance)->handle({.kind = kind, .client = ClientId{1}}, effects), Outcome::Done);
  }
  EXPECT_TRUE(effects.empty());
}

TEST(NativeService, TellsWhoComesAndMayRefuse) {
  const auto service = make_native_service("door", detail::native_service_factory<Doorkeeper>());
  Effects effects;
  auto instance = service->create({.room_id = "r"}, effects);
  const ConnectInfo with_key{.query = "key=1", .remote_address = "127.0.0.1", .headers = {{"user-agent", "me"}}};
  ASSERT_EQ(
      (*instance)->handle({.kind = EventKind::Connect, .client = ClientId{1}, .connect_info = &with_key}, effects),
      Outcome::Done);
  EXPECT_FALSE(effects.refused());
  EXPECT_EQ(effects.bytes_of(effects.list()[0]), "me");
  effects.clear();
  ASSERT_EQ((*instance)->handle({.kind = EventKind::Connect, .client = ClientId{2}}, effects), Outcome::Done);
  EXPECT_TRUE(effects.refused());
}

template <class T>
T put_and_got(const T& value) {
  Writer writer;
  writer.put(value);
  Reader reader(writer.bytes());
  T got{};
  reader.get(got);
  EXPECT_TRUE(reader.ok() && reader.at_end());
  return got;
}

TEST(State, ContainersComeBackAsTheyWere) {
  const std::array<std::string, 2> pair{"a", "bc"};
  EXPECT_EQ(put_and_got(pair), pair);
  const std::vector<std::array<std::array<int, 2>, 2>> boards{{{{1, 2}, {3, 4}}}, {{{5, 6}, {7, 8}}}};
  EXPECT_EQ(put_and_got(boards), boards);
  const std::map<int, std::vector<bool>> bits{{1, {true, false}}, {2, {}}};
  EXPECT_EQ(put_and_got(bits), bits);
  const std::deque<std::pair<std::set<std::string>, double>> pairs{{{"x", "y"}, 1.5}};
  EXPECT_EQ(put_and_got(pairs), pairs);
}

TEST(State, AnArrayOfAnotherSizeIsSomethingElse) {
  Writer writer;
  writer.put(std::array{1, 2, 3});
  Reader reader(writer.bytes());
  std::array<int, 2> shorter{};
  reader.get(shorter);
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace jamsocket::service
