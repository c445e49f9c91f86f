// Goal: a kept room that is set aside while it waits for its turn is gone when it is gone. Method: a service whose
// clients' `connect` fails when it is told to, on a server with one shard and a place for one slow call.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/server.hpp"
#include "server/testing.hpp"
#include "store/testing.hpp"

namespace jamsocket::server {
namespace {

using service::Outcome;

struct Gate {
  std::atomic<bool> open{false};
  std::atomic<int> waiting{0};

  void pass() {
    ++waiting;
    while (!open) {
      std::this_thread::yield();
    }
    --waiting;
  }
};

struct Gates {
  Gate failing;
  Gate holding;
};

// A `connect` whose query is "fail" takes long, waits and fails; a text "hold" takes long and waits. Texts are
// answered.
class FailingInstance final : public service::ServiceInstance {
 public:
  explicit FailingInstance(Gates& gates) : gates_(gates) {}
  Outcome handle(const service::Event& event, service::Effects& effects) override {
    if (event.kind == service::EventKind::Connect && event.connect_info->query == "fail") {
      (void)event.monitor->call_runs_long();
      gates_.failing.pass();
      return Outcome::CpuLimit;
    }
    if (event.kind == service::EventKind::Text) {
      if (event.payload == "hold") {
        (void)event.monitor->call_runs_long();
        gates_.holding.pass();
      }
      (void)effects.send_text(broadcast, event.payload);
    }
    return Outcome::Done;
  }
  [[nodiscard]] const service::Fault& fault() const override { return fault_; }
  [[nodiscard]] Outcome capture(std::string&) const override { return Outcome::Done; }

 private:
  Gates& gates_;
  service::Fault fault_{Outcome::CpuLimit, "as asked", ""};
};

class FailingService final : public service::Service {
 public:
  explicit FailingService(Gates& gates) : gates_(gates) {}
  [[nodiscard]] std::string_view name() const override { return "failing"; }
  using Made = std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault>;
  [[nodiscard]] Made create(const service::RoomStart&, service::Effects&) override {
    return std::make_unique<FailingInstance>(gates_);
  }
  [[nodiscard]] Made restore(const service::RoomStart&, std::string_view) override {
    return std::make_unique<FailingInstance>(gates_);
  }
  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override { return {}; }

 private:
  Gates& gates_;
};

class SetAside : public ::testing::Test {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.port = 0;
    options.shards = 1;
    options.shutdown_policy = "immediate";
    options.admin_port = "0";
    options.data_dir = folder_.path().string();
    options.limits.slow_calls_max = 1;
    options.limits.back_off_first = std::chrono::milliseconds{1};
    auto made = Server::create(options, std::make_unique<FailingService>(gates_), {.logger = log_, .clock = clock_});
    ASSERT_TRUE(made.has_value());
    server_ = std::move(*made);
    ASSERT_TRUE(server_->start().has_value());
  }
  std::unique_ptr<TestClient> join(const std::string& target) {
    auto client = std::make_unique<TestClient>(server_->port());
    client->upgrade("/ws/" + target);
    return client;
  }
  static void expect(TestClient& client, const std::string& heard) {
    EXPECT_NE(client.read_until(heard).find(heard), std::string::npos);
  }
  void await(const std::atomic<int>& count) {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{60};
    while (count != 1 && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    ASSERT_EQ(count, 1);
  }
  void await_admin(const std::string& path, const std::string& answer) {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{20};
    std::string heard;
    do {
      TestClient client(server_->admin_port());
      client.send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
      heard = client.read_to_end();
    } while (!heard.contains(answer) && clock_.steady() < deadline);
    ASSERT_NE(heard.find(answer), std::string::npos) << heard;
  }

  store::testing::TemporaryFolder folder_;
  Gates gates_;
  NullLogger log_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_F(SetAside, ARoomMayEndWhileItWaitsForAPlaceAmongSlowCalls) {
  gates_.failing.open = true;
  gates_.holding.open = true;
  const auto holder = join("holder");
  for (int i = 0; i < 10; ++i) {  // One that is known goes before one that is not.
    const std::string text = "text " + std::to_string(i);
    holder->send(TestClient::text(text));
    expect(*holder, text);
  }
  holder->send(TestClient::text("hold"));
  expect(*holder, "\x04hold");
  for (int i = 0; i < 2; ++i) {
    expect(*join("failing?fail"), " 500 ");
  }
  gates_.failing.open = false;
  gates_.holding.open = false;
  const auto third = join("failing?fail");
  await(gates_.failing.waiting);
  const auto fourth = join("failing");
  await_admin("/admin/rooms/failing", "\"client_count\":2");
  holder->send(TestClient::text("hold"));
  await_admin("/metrics", "\njamsocket_rooms_runnable 1\n");
  gates_.failing.open = true;
  expect(*third, " 500 ");
  expect(*fourth, " 500 ");
  await(gates_.holding.waiting);
  await_admin("/admin/rooms/failing", " 404 ");
  server_->clock_moved();
  gates_.holding.open = true;
  expect(*holder, "\x04hold\x81\x04hold");
}

}  // namespace
}  // namespace jamsocket::server
