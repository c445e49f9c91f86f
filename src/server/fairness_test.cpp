// Goal: no room takes more than its turn, and one that had its share of a second goes behind the others.
// Method: a server with one shard, whose clock moves only when a call moves it; every call writes its
// name into one list. The first call waits until the sockets hold all that is to come.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/server.hpp"
#include "server/testing.hpp"

namespace jamsocket::server {
namespace {

using service::Outcome;

class Diary {
 public:
  void write(std::string_view room) {
    const std::scoped_lock lock(mutex_);
    rooms_.emplace_back(room);
  }
  [[nodiscard]] std::vector<std::string> read() {
    const std::scoped_lock lock(mutex_);
    return rooms_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> rooms_;
};

struct World {
  ManualClock clock;
  Diary diary;
  Diary log;  ///< Names of lines.
  std::atomic<std::ptrdiff_t> failures_seen{-1};
  std::atomic<int> gates_reached{0};
  std::atomic<int> gates_open{0};
};

// "gate" waits at the gate; "fail" fails; "failures" looks how many have failed so far; anything else takes as many
// milliseconds as it has characters, less one.
class Instance final : public service::ServiceInstance {
 public:
  Instance(World& world, std::string_view room) : world_(world), room_(room) {}
  Outcome handle(const service::Event& event, service::Effects& effects) override {
    if (event.kind != service::EventKind::Text) {
      return Outcome::Done;
    }
    if (event.payload == "gate") {
      const int gate = ++world_.gates_reached;
      while (world_.gates_open < gate) {
        std::this_thread::yield();
      }
      return Outcome::Done;
    }
    if (event.payload == "fail") {
      return Outcome::Trap;
    }
    if (event.payload == "failures") {
      const auto lines = world_.log.read();
      world_.failures_seen = std::ranges::count(lines, "room.failed");
      (void)effects.send_text(broadcast, event.payload);
      return Outcome::Done;
    }
    world_.clock.advance(Milliseconds{event.payload.size() - 1});
    world_.diary.write(room_);
    (void)effects.send_text(broadcast, event.payload);
    return Outcome::Done;
  }
  [[nodiscard]] const service::Fault& fault() const override { return fault_; }

 private:
  World& world_;
  std::string room_;
  service::Fault fault_{Outcome::Trap, "as asked", ""};
};

class DiaryService final : public service::Service {
 public:
  explicit DiaryService(World& world) : world_(world) {}
  [[nodiscard]] std::string_view name() const override { return "diary"; }
  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> create(
      const service::RoomStart& start, service::Effects&) override {
    return std::make_unique<Instance>(world_, start.room_id);
  }

 private:
  World& world_;
};

// Keeps the names of lines.
class LineLog final : public Logger {
 public:
  explicit LineLog(Diary& lines) : lines_(lines) {}
  [[nodiscard]] bool enabled(LogLevel) const override { return true; }
  void set_threshold(LogThreshold) override {}
  [[nodiscard]] LogThreshold threshold() const override { return LogThreshold::Debug; }
  void write(LogLevel, std::string_view name, std::span<const LogField>) override { lines_.write(name); }
  [[nodiscard]] std::ptrdiff_t count(std::string_view event) { return std::ranges::count(lines_.read(), event); }

 private:
  Diary& lines_;
};

class Fairness : public testing::Test {
 protected:
  void start(const ServerLimits& limits = {}) {
    ServerOptions options;
    options.port = 0;
    options.shards = 1;
    options.limits = limits;
    auto made =
        Server::create(options, std::make_unique<DiaryService>(world_), {.logger = log_, .clock = world_.clock});
    ASSERT_TRUE(made.has_value());
    server_ = std::move(*made);
    ASSERT_TRUE(server_->start().has_value());
  }
  std::unique_ptr<TestClient> join(const std::string& room) {
    auto client = std::make_unique<TestClient>(server_->port());
    client->upgrade("/ws/" + room);
    (void)client->read_until("\r\n\r\n");
    return client;
  }
  void hold(TestClient& client) {
    client.send(TestClient::text("gate"));
    wait_for_gate(1);
  }
  void wait_for_gate(int number) {
    while (world_.gates_reached < number) {
      std::this_thread::yield();
    }
  }
  // How many calls of `other` came before the first of `room`.
  std::ptrdiff_t calls_before(const std::string& room, const std::string& other) {
    const auto calls = world_.diary.read();
    return std::count(calls.begin(), std::ranges::find(calls, room), other);
  }
  static std::string many(int count, std::string_view text) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      all += TestClient::text(text);
    }
    return all;
  }

  static std::string many_answers(int count, const std::string& text) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      all += "\x81" + std::string(1, static_cast<char>(text.size())) + text;
    }
    return all;
  }

  World world_;
  LineLog log_{world_.log};
  std::unique_ptr<Server> server_;
};

TEST_F(Fairness, ARoomWithTenThousandMessagesDelaysOneByATurn) {
  start();
  const auto gate = join("gate");
  const auto flood = join("flood");
  const auto quiet = join("quiet");
  hold(*gate);
  std::thread sender([&] { flood->send(many(10'000, "a")); });  // More than the sockets hold.
  quiet->send(TestClient::text("a"));
  world_.gates_open = 1;
  (void)quiet->read_until(
      "\x81\x01"
      "a");
  sender.join();
  EXPECT_LE(calls_before("quiet", "flood"), 4096 + 64);
}

// The same in a later turn, where the room has fallen behind already: then turns are shorter.
TEST_F(Fairness, ARoomThatIsBehindDelaysOneByAShorterTurn) {
  start();
  const auto gate = join("gate");
  const auto flood = join("flood");
  const auto quiet = join("quiet");
  hold(*gate);
  flood->send(many(4'200, "a") + TestClient::text("gate") + many(2'000, "a"));
  world_.gates_open = 1;
  wait_for_gate(2);
  quiet->send(TestClient::text("a"));
  world_.gates_open = 2;
  (void)quiet->read_until(
      "\x81\x01"
      "a");
  EXPECT_LE(calls_before("quiet", "flood"), 4096 + 1024 + 64);
}

// The same, but each call of the flood takes two milliseconds.
TEST_F(Fairness, DearMessagesDelayByTimeAndNotByNumber) {
  start();
  const auto gate = join("gate");
  const auto flood = join("flood");
  const auto quiet = join("quiet");
  hold(*gate);
  flood->send(many(1'000, "aaa"));
  quiet->send(TestClient::text("a"));
  world_.gates_open = 1;
  (void)quiet->read_until(
      "\x81\x01"
      "a");
  EXPECT_LE(calls_before("quiet", "flood"), 4) << "a turn's calls end after 5 ms";
}

TEST_F(Fairness, ARoomOverItsShareGoesBehindAllOthers) {
  ServerLimits limits;
  limits.room_cpu_per_second_max = Milliseconds{20};
  start(limits);
  const auto gate = join("gate");
  const auto greedy = join("greedy");
  const auto modest = join("modest");
  // Over its share at once; the second ends a thousand milliseconds after its first call.
  greedy->send(TestClient::text(std::string(31, 'a')));
  (void)greedy->read_until("\x81\x1f");
  hold(*gate);
  greedy->send(many(20, "b"));
  modest->send(many(100, "c"));
  world_.gates_open = 1;
  (void)modest->read_until(
      "\x81\x01"
      "c");
  (void)greedy->read_until(
      "\x81\x01"
      "b");
  EXPECT_EQ(calls_before("modest", "greedy"), 1) << "but for what it did before";
  const auto calls = world_.diary.read();
  EXPECT_EQ(std::ranges::count(std::vector(calls.begin() + 1, calls.begin() + 101), "modest"), 100) << "all of them";
}

TEST_F(Fairness, ARoomOverItsShareGoesOnWhenNobodyElseWants) {
  ServerLimits limits;
  limits.room_cpu_per_second_max = Milliseconds{20};
  start(limits);
  const auto greedy = join("greedy");
  for (int i = 0; i < 3; ++i) {
    const std::string text = std::to_string(i);
    greedy->send(TestClient::text(std::string(31, 'a')) + TestClient::text(text));
    EXPECT_NE(greedy->read_until("\x81\x01" + text).find("\x81\x01" + text), std::string::npos);
  }
}

TEST_F(Fairness, AnOverlongCallIsLoggedOnceASecond) {
  start();
  const auto client = join("slow");
  client->send(TestClient::text(std::string(50, 'a')));
  (void)client->read_until("\x81\x32");
  EXPECT_EQ(log_.count("room.overlong_call"), 0) << "49 ms are allowed";
  client->send(TestClient::text(std::string(51, 'b')) + TestClient::text(std::string(52, 'c')));
  (void)client->read_until("\x81\x34");
  EXPECT_EQ(log_.count("room.overlong_call"), 1) << "51 ms later is within the second";
  world_.clock.advance(Milliseconds{1000});
  client->send(TestClient::text(std::string(53, 'd')) + TestClient::text("e"));
  (void)client->read_until(
      "\x81\x01"
      "e");
  EXPECT_EQ(log_.count("room.overlong_call"), 2);
}

TEST_F(Fairness, ARoomThatHasHandledEventsGoesBeforeNewOnes) {
  start();
  const auto gate = join("gate");
  const auto known = join("known");
  known->send(many(8, "a") + TestClient::text("b"));
  (void)known->read_until(
      "\x81\x01"
      "b");
  std::vector<std::unique_ptr<TestClient>> others;
  others.reserve(20);
  for (int i = 0; i < 20; ++i) {
    others.push_back(join("new" + std::to_string(i)));
  }
  hold(*gate);
  for (const auto& client : others) {
    client->send(TestClient::text("aaa"));
  }
  known->send(TestClient::text("c"));
  world_.gates_open = 1;
  for (const auto& client : others) {
    EXPECT_NE(client->read_until("aaa").find("aaa"), std::string::npos);
  }
  const auto calls = world_.diary.read();
  ASSERT_EQ(calls.size(), 30U);
  EXPECT_EQ(calls[9], "known");
}

TEST_F(Fairness, ManyRoomsThatFailAtOnceWaitForAllOthers) {
  start();
  const std::string failed = "\x03\xf3the room failed";
  const auto gate = join("gate");
  std::vector<std::unique_ptr<TestClient>> failing;
  failing.reserve(40);
  for (int i = 0; i < 40; ++i) {
    failing.push_back(join("bad" + std::to_string(i)));
  }
  const auto quiet = join("quiet");
  quiet->send(many(8, "failures"));  // It is known by then.
  (void)quiet->read_until(many_answers(8, "failures"));
  hold(*gate);
  for (const auto& client : failing) {
    client->send(TestClient::text("fail") + TestClient::text("a"));
  }
  quiet->send(TestClient::text("failures"));
  world_.gates_open = 1;
  (void)quiet->read_until("failures");
  EXPECT_EQ(world_.failures_seen, 0);
  for (const auto& client : failing) {
    EXPECT_NE(client->read_until(failed).find(failed), std::string::npos);
  }
  EXPECT_EQ(log_.count("room.failed"), 40);
  EXPECT_TRUE(world_.diary.read().empty()) << "what comes behind the event that failed goes with its room";
}

TEST_F(Fairness, ARoomThatKeepsFailingRests) {
  start();
  const std::string failed = "\x03\xf3the room failed";
  for (int i = 0; i < 3; ++i) {
    const auto client = join("bad");
    client->send(TestClient::text("fail"));
    EXPECT_NE(client->read_until(failed).find(failed), std::string::npos) << i;
  }
  const auto early = join("bad");
  const std::string rests = "\x03\xf5The room keeps failing; try again in 1 s.";
  EXPECT_NE(early->read_until(rests).find(rests), std::string::npos);
  const auto other = join("good");
  other->send(TestClient::text("a"));
  EXPECT_NE(other
                ->read_until("\x81\x01"
                             "a")
                .find("\x81\x01"
                      "a"),
            std::string::npos);
  world_.clock.advance(Milliseconds{1000});
  server_->clock_moved();
  const auto late = join("bad");
  late->send(TestClient::text("a") + TestClient::text("fail"));
  EXPECT_NE(late->read_until(failed).find("\x81\x01"
                                          "a"),
            std::string::npos);
  const auto again = join("bad");
  EXPECT_NE(again->read_until("in 2 s.").find("in 2 s."), std::string::npos);
}

}  // namespace
}  // namespace jamsocket::server
