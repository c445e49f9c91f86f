// Goal: a call that takes long costs nobody but its own room. Method: a service whose calls wait
// until the test lets them go, on a server with one shard.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/server.hpp"
#include "server/testing.hpp"

namespace jamsocket::server {
namespace {

using service::CallMonitor;
using service::Outcome;

// Holds calls until it is opened.
struct Gate {
  std::atomic<bool> open{false};
  std::atomic<int> waiting{0};
  std::atomic<int> ended{0};
};

// "wait" waits at the gate and then answers; "starve" answers once its thread, that had only what others left, has a
// share of the processor. All else is answered at once.
class WaitingInstance final : public service::ServiceInstance {
 public:
  explicit WaitingInstance(Gate& gate) : gate_(gate) {}

  Outcome handle(const service::Event& event, service::Effects& effects) override {
    if (event.kind != service::EventKind::Text) {
      return Outcome::Done;
    }
    const bool is_slow = event.payload == "wait" || event.payload == "starve";
    if (is_slow && !(event.payload == "wait" ? wait(event) : starve(event))) {
      ++gate_.ended;
      return Outcome::CpuLimit;
    }
    (void)effects.send_text(broadcast, event.payload);
    return Outcome::Done;
  }
  [[nodiscard]] const service::Fault& fault() const override { return fault_; }

 private:
  bool wait(const service::Event& event) {
    ++gate_.waiting;
    bool may_go_on = true;
    while (may_go_on && !gate_.open) {
      may_go_on = event.monitor->call_runs_long() == CallMonitor::Verdict::GoOn;
      std::this_thread::yield();
    }
    --gate_.waiting;
    return may_go_on;
  }
  static bool starve(const service::Event& event) {
    bool may_go_on = true;
    while (may_go_on && !has_least_share()) {
      may_go_on = event.monitor->call_runs_long() == CallMonitor::Verdict::GoOn;
      std::this_thread::yield();
    }
    return may_go_on;
  }
  // On the loop a thread has more than that, and beside it less.
  static bool has_least_share() {
    return ::sched_getscheduler(0) == SCHED_OTHER && ::getpriority(PRIO_PROCESS, 0) == 19;
  }

  Gate& gate_;
  service::Fault fault_{Outcome::CpuLimit, "ended", ""};
};

class WaitingService final : public service::Service {
 public:
  explicit WaitingService(Gate& gate) : gate_(gate) {}
  [[nodiscard]] std::string_view name() const override { return "waiting"; }
  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> create(
      const service::RoomStart&, service::Effects&) override {
    return std::make_unique<WaitingInstance>(gate_);
  }

 private:
  Gate& gate_;
};

class SlowCalls : public testing::Test {
 protected:
  [[nodiscard]] virtual ServerLimits limits() const { return {}; }
  [[nodiscard]] virtual const Clock& clock() const { return clock_; }
  void SetUp() override {
    ServerOptions options;
    options.port = 0;
    options.shards = 1;
    options.shutdown_policy = "immediate";
    options.admin_port = "0";
    options.limits = limits();
    auto made = Server::create(options, std::make_unique<WaitingService>(gate_), {.logger = log_, .clock = clock()});
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
  void await(const std::atomic<int>& count, int wanted) {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{60};
    while (count != wanted && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    ASSERT_EQ(count, wanted);
  }

  std::string ask_admin(const std::string& line) const {
    TestClient client(server_->admin_port());
    client.send(line + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    return client.read_to_end();
  }
  // Until the room has ended.
  void await_end_of(const std::string& room) {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{20};
    while (!ask_admin("GET /admin/rooms/" + room).starts_with("HTTP/1.1 404 ") && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    ASSERT_TRUE(ask_admin("GET /admin/rooms/" + room).starts_with("HTTP/1.1 404 ")) << "it is still there";
  }

  Gate gate_;
  NullLogger log_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_F(SlowCalls, OtherRoomsGoOnAndItsOwnEventsKeepTheirOrder) {
  const auto slow = join("slow");
  const auto other = join("other");
  slow->send(TestClient::text("wait") + TestClient::text("second"));
  await(gate_.waiting, 1);
  for (int i = 0; i < 100; ++i) {
    const std::string text = "echo " + std::to_string(i);
    other->send(TestClient::text(text));
    EXPECT_NE(other->read_until(text).find(text), std::string::npos);
  }
  EXPECT_EQ(gate_.waiting, 1);
  gate_.open = true;
  const std::string expected = "\x81\x04wait\x81\x06second";
  EXPECT_NE(slow->read_until(expected).find(expected), std::string::npos);
}

// Goal: events that a turn has no time for wait for the next with their own bytes. Method: more of them at once than a
// turn takes, all different, and others that are read meanwhile.
TEST_F(SlowCalls, WhatATurnLeavesBehindIsNotOverwrittenByTheNext) {
  const auto one = join("one");
  const auto two = join("two");
  constexpr int kMessages = 10'000;
  std::string sent;
  std::string expected;
  for (int i = 0; i < kMessages; ++i) {
    const std::string text = std::to_string(kMessages + i);
    sent += TestClient::text(text);
    expected += "\x81\x05" + text;
  }
  std::thread other([&] { two->send(sent); });
  one->send(sent);
  other.join();
  EXPECT_TRUE(one->read_until("\x05"
                              "19999")
                  .ends_with(expected));
  EXPECT_TRUE(two->read_until("\x05"
                              "19999")
                  .ends_with(expected));
}

TEST_F(SlowCalls, ARoomThatWasSlowStaysOffTheLoop) {
  const auto slow = join("slow");
  const auto other = join("other");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  gate_.open = true;
  (void)slow->read_until("wait");
  for (int i = 0; i < 50; ++i) {
    const std::string text = "quick " + std::to_string(i);
    slow->send(TestClient::text(text));
    EXPECT_NE(slow->read_until(text).find(text), std::string::npos);
    other->send(TestClient::text(text));
    EXPECT_NE(other->read_until(text).find(text), std::string::npos);
  }
}

class FewSlowCalls : public SlowCalls {
 protected:
  [[nodiscard]] ServerLimits limits() const override { return {.slow_calls_max = kMax}; }
  static constexpr int kMax = 4;
};

TEST_F(FewSlowCalls, ManyAtOnceAndNoneBeyondTheLimit) {
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < kMax; ++i) {
    clients.push_back(join("slow" + std::to_string(i)));
    clients.back()->send(TestClient::text("wait"));
    await(gate_.waiting, i + 1);
  }
  const auto one_more = join("one-more");
  one_more->send(TestClient::text("wait"));
  EXPECT_NE(one_more->read_until("\x03\xf3the room failed").find("\x03\xf3the room failed"), std::string::npos);
  gate_.open = true;
  for (const auto& client : clients) {
    EXPECT_NE(client->read_until("\x81\x04wait").find("\x81\x04wait"), std::string::npos);
  }
  EXPECT_NE(ask_admin("GET /metrics").find("jamsocket_limits_hit_total{limit=\"slow_calls_max\"} 1"),
            std::string::npos);
}

class OneSlowCall : public SlowCalls {
 protected:
  [[nodiscard]] ServerLimits limits() const override { return {.slow_calls_max = 1}; }
  [[nodiscard]] const Clock& clock() const override { return manual_; }
  void TearDown() override { server_.reset(); }  // Before its clock.
  void await_waiting_rooms(int count) {
    const std::string line = "\njamsocket_rooms_runnable " + std::to_string(count) + "\n";
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{20};
    while (!ask_admin("GET /metrics").contains(line) && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    ASSERT_NE(ask_admin("GET /metrics").find(line), std::string::npos);
  }
  ManualClock manual_;
};

// Goal: a room whose turn it is and that needs no place any more keeps it from nobody. Method: two that were slow wait
// for the only one, until both are known as slow no longer.
TEST_F(OneSlowCall, RoomsThatWaitForAPlaceGoOnAlsoWhenTheFirstDoesNotNeedIt) {
  const auto one = join("one");
  const std::vector<std::unique_ptr<TestClient>> others = [this] {
    std::vector<std::unique_ptr<TestClient>> joined;
    joined.push_back(join("two"));
    joined.push_back(join("three"));
    return joined;
  }();
  for (const auto& client : others) {
    gate_.open = false;
    client->send(TestClient::text("wait"));
    await(gate_.waiting, 1);
    gate_.open = true;
    EXPECT_NE(client->read_until("\x04wait").find("\x04wait"), std::string::npos);
  }
  gate_.open = false;
  one->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  for (const auto& client : others) {
    client->send(TestClient::text("more"));
  }
  await_waiting_rooms(2);
  manual_.advance(std::chrono::seconds{11});
  server_->clock_moved();
  gate_.open = true;
  for (const auto& client : others) {
    EXPECT_NE(client->read_until("\x04more").find("\x04more"), std::string::npos);
  }
}

class ImpatientSlowCalls : public SlowCalls {
 protected:
  [[nodiscard]] ServerLimits limits() const override { return {.slow_call_idle_max = std::chrono::milliseconds{1}}; }
};

// A machine that is never idle would keep such a call out for ever: it would not even notice that its time is over.
TEST_F(ImpatientSlowCalls, OneThatHasWaitedLongEnoughGetsAShareOfTheProcessor) {
  if (!may_leave_idle_priority()) {
    GTEST_SKIP() << "needs CAP_SYS_NICE or an RLIMIT_NICE of 1";
  }
  const auto slow = join("slow");
  std::string answers;
  for (int i = 0; i < 3; ++i) {  // The first begins on the loop, the others beside it.
    slow->send(TestClient::text("starve"));
    answers += "\x81\x06starve";
    EXPECT_NE(slow->read_until(answers).find(answers), std::string::npos) << i;
  }
  EXPECT_NE(ask_admin("GET /metrics").find("limit=\"slow_call_idle_ms_max\"} 3"), std::string::npos);
}

TEST_F(SlowCalls, AClientMayLeaveWhileItsCallIsOut) {
  auto slow = join("slow");
  const auto other = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  slow.reset();
  const auto newcomer = std::make_unique<TestClient>(server_->port());
  newcomer->upgrade("/ws/slow");
  gate_.open = true;
  EXPECT_NE(other->read_until("\x81\x04wait").find("\x81\x04wait"), std::string::npos);
  EXPECT_TRUE(newcomer->read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

TEST_F(SlowCalls, AnOperatorMayCloseTheRoomWhileItsCallIsOut) {
  const auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  EXPECT_NE(ask_admin("DELETE /admin/rooms/slow?code=4001").find("{\"closed\":true}"), std::string::npos);
  EXPECT_NE(slow->read_until("\x88\x02\x0f\xa1").find("\x88\x02\x0f\xa1"), std::string::npos);
  EXPECT_EQ(gate_.waiting, 1) << "the call goes on to its end";
  EXPECT_NE(ask_admin("GET /admin/rooms/slow").find("\"client_count\":0"), std::string::npos);
  gate_.open = true;
  await_end_of("slow");
  const auto again = join("slow");
  again->send(TestClient::text("fresh"));
  EXPECT_NE(again->read_until("fresh").find("fresh"), std::string::npos);
}

TEST_F(SlowCalls, TheServiceMayBeRemovedWhileItsCallIsOut) {
  const auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  ASSERT_TRUE(server_->remove_service("").has_value());
  const std::string removed = "\x03\xf4";
  EXPECT_NE(slow->read_until(removed).find(removed), std::string::npos) << "1012";
  TestClient late(server_->port());
  late.upgrade("/ws/slow");
  EXPECT_TRUE(late.read_until("\r\n\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_EQ(gate_.waiting, 1) << "the service outlives its rooms";
  gate_.open = true;
  await_end_of("slow");
}

TEST_F(SlowCalls, TheLastClientMayLeaveAndTheRoomEndsWithTheCall) {
  auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  slow.reset();
  server_->clock_moved();
  EXPECT_NE(ask_admin("GET /admin/rooms").find("\"id\":\"slow\""), std::string::npos) << "its call is out";
  gate_.open = true;
  await_end_of("slow");
}

TEST_F(SlowCalls, ADrainThatTakesTooLongEndsWhatIsOut) {
  const auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  std::thread stopping([this] { server_->stop(); });
  const std::string closing = "the server is stopping";
  EXPECT_NE(slow->read_until(closing).find(closing), std::string::npos);
  server_->stop();  // As a second signal does.
  stopping.join();
  EXPECT_EQ(gate_.waiting, 0);
  EXPECT_EQ(gate_.ended, 1);
}

TEST_F(SlowCalls, StoppingAtOnceEndsWhatIsOut) {
  const auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  server_.reset();
  EXPECT_EQ(gate_.waiting, 0);
  EXPECT_EQ(gate_.ended, 1);
}

TEST_F(SlowCalls, StoppingInOrderLetsThemFinish) {
  const auto slow = join("slow");
  slow->send(TestClient::text("wait"));
  await(gate_.waiting, 1);
  std::thread stopping([this] { server_->stop(); });
  const std::string closing = "the server is stopping";
  EXPECT_NE(slow->read_until(closing).find(closing), std::string::npos);
  slow->send(std::string("\x88\x82\0\0\0\0\x03\xf4", 8));
  EXPECT_EQ(gate_.waiting, 1);
  gate_.open = true;
  stopping.join();
  EXPECT_EQ(gate_.ended, 0);
}

}  // namespace
}  // namespace jamsocket::server
