// Goal: rooms of older code come back, however many at once, and nobody else waits while it is loaded. Method: a
// service whose older code lies behind a gate, on a server with one shard and a place for one slow call.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
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
};

class CountingInstance final : public service::ServiceInstance {
 public:
  explicit CountingInstance(int value = 0) : value_(value) {}
  Outcome handle(const service::Event& event, service::Effects& effects) override {
    if (event.kind == service::EventKind::Text) {
      (void)effects.send_text(broadcast, std::to_string(++value_));
    }
    return Outcome::Done;
  }
  [[nodiscard]] const service::Fault& fault() const override { return fault_; }
  [[nodiscard]] Outcome capture(std::string& state) const override {
    state += std::to_string(value_);
    return Outcome::Done;
  }

 private:
  int value_;
  service::Fault fault_;
};

class VersionedService final : public service::Service {
 public:
  VersionedService(std::string version, Gate& gate) : version_(std::move(version)), gate_(gate) {}
  [[nodiscard]] std::string_view name() const override { return "versioned"; }
  using Made = std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault>;
  [[nodiscard]] Made create(const service::RoomStart& start, service::Effects&) override {
    load(start.version);
    return std::make_unique<CountingInstance>();
  }
  [[nodiscard]] Made restore(const service::RoomStart& start, std::string_view state) override {
    load(start.version);
    return std::make_unique<CountingInstance>(std::stoi(std::string(state)));
  }
  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override { return {}; }
  [[nodiscard]] std::string_view version() const override { return version_; }
  [[nodiscard]] bool has_version(std::string_view) const override { return true; }
  [[nodiscard]] bool must_load(std::string_view wanted) const override { return wanted != version_ && !loaded_; }

 private:
  void load(std::string_view wanted) {
    if (wanted.empty() || !must_load(wanted)) {
      return;
    }
    ++gate_.waiting;
    while (!gate_.open) {
      std::this_thread::yield();
    }
    --gate_.waiting;
    loaded_ = true;
  }

  std::string version_;
  Gate& gate_;
  std::atomic<bool> loaded_{false};
};

class OlderRooms : public ::testing::Test {
 protected:
  void serve(const std::string& version) {
    server_.reset();
    ServerOptions options;
    options.port = 0;
    options.shards = 1;
    options.shutdown_policy = "immediate";
    options.data_dir = folder_.path().string();
    options.limits.slow_calls_max = 1;
    auto made =
        Server::create(options, std::make_unique<VersionedService>(version, gate_), {.logger = log_, .clock = clock_});
    ASSERT_TRUE(made.has_value());
    server_ = std::move(*made);
    ASSERT_TRUE(server_->start().has_value());
  }
  std::unique_ptr<TestClient> join(const std::string& room) {
    auto client = std::make_unique<TestClient>(server_->port());
    client->upgrade("/ws/" + room);
    return client;
  }
  static void expect_answer(TestClient& client, const std::string& answer) {
    client.send(TestClient::text("x"));
    const std::string frame = "\x81\x01" + answer;
    const std::string heard = client.read_until(frame);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 101 ") && heard.ends_with(frame)) << heard;
  }
  void await_load() {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{60};
    while (gate_.waiting != 1 && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    ASSERT_EQ(gate_.waiting, 1);
  }

  store::testing::TemporaryFolder folder_;
  Gate gate_;
  NullLogger log_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_F(OlderRooms, WaitForTheirCodeAndNobodyElseDoes) {
  const std::vector<std::string> rooms{"one", "two", "three"};
  serve("1");
  for (const std::string& room : rooms) {
    expect_answer(*join(room), "1");
  }
  serve("2");
  std::vector<std::unique_ptr<TestClient>> clients;
  clients.reserve(rooms.size());
  for (const std::string& room : rooms) {
    clients.push_back(join(room));
  }
  await_load();
  expect_answer(*join("of-the-new-code"), "1");
  EXPECT_EQ(gate_.waiting, 1);
  gate_.open = true;
  for (const auto& client : clients) {
    expect_answer(*client, "2");
  }
}

}  // namespace
}  // namespace jamsocket::server
