// Goal: however many connections wait, a turn takes a bounded number of them, and rooms have the rest of it.
// Method: a listener with a crowd at its door, and turns that are counted by hand.

#include "server/acceptor.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "server/testing.hpp"

namespace jamsocket::server {
namespace {

constexpr int kCrowd = 300;

class Door final : public AcceptHost {
 public:
  Door() : loop_(std::move(*io::EventLoop::create())) { pass_turns(10); }

  [[nodiscard]] io::EventLoop& loop() override { return *loop_; }
  [[nodiscard]] io::TimerHeap& timers() override { return timers_; }
  [[nodiscard]] Counters& counters() override { return counters_; }
  [[nodiscard]] Logger& logger() override { return logger_; }
  [[nodiscard]] SteadyTime steady_now() const override { return clock_.steady(); }
  void accepted(io::Socket socket, const io::PeerAddress&) override { sockets_.push_back(std::move(socket)); }

  void pass_turns(std::uint64_t count) { counters_.add(Counter::LoopTurns, count); }
  // One turn; how many came in.
  std::size_t turn(Acceptor& acceptor) {
    pass_turns(1);
    const std::size_t before = sockets_.size();
    if (!loop_->wait(std::chrono::nanoseconds{0}).empty()) {
      acceptor.on_ready(EPOLLIN);
    }
    return sockets_.size() - before;
  }

 private:
  std::unique_ptr<io::EventLoop> loop_;
  ManualClock clock_;
  io::TimerHeap timers_;
  Counters counters_;
  NullLogger logger_;
  std::vector<io::Socket> sockets_;
};

class AcceptorTurns : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = io::Listener::open("127.0.0.1", 0);
    ASSERT_TRUE(opened.has_value());
    listener_ = std::make_unique<io::Listener>(std::move(*opened));
    acceptor_ = std::make_unique<Acceptor>(*listener_, door_);
  }
  void come(int count) {
    for (int i = 0; i < count; ++i) {
      clients_.push_back(std::make_unique<TestClient>(listener_->port()));
    }
  }

  Door door_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<std::unique_ptr<TestClient>> clients_;
};

TEST_F(AcceptorTurns, TakesACrowdInGrowingAndBoundedNumbers) {
  come(kCrowd);
  std::vector<std::size_t> taken;
  while (taken.empty() || taken.back() > 0) {
    taken.push_back(door_.turn(*acceptor_));
  }
  const std::vector<std::size_t> expected = {1, 4, 16, 64, 64, 64, 64, 23, 0};
  EXPECT_EQ(taken, expected);
}

TEST_F(AcceptorTurns, BeginsWithOneAgainOnceTurnsHavePassedWithoutAny) {
  come(5);
  EXPECT_EQ(door_.turn(*acceptor_), 1U);
  EXPECT_EQ(door_.turn(*acceptor_), 4U);
  EXPECT_EQ(door_.turn(*acceptor_), 0U);
  come(5);
  EXPECT_EQ(door_.turn(*acceptor_), 1U);
}

TEST_F(AcceptorTurns, TakesNoneOnceItIsStopped) {
  come(5);
  EXPECT_EQ(door_.turn(*acceptor_), 1U);
  acceptor_->stop();
  acceptor_->on_ready(EPOLLIN);
  EXPECT_EQ(door_.turn(*acceptor_), 0U);
}

}  // namespace
}  // namespace jamsocket::server
