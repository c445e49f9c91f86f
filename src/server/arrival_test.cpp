// Goal: TLS's handshakes take a bounded part of a turn, first come, first served, and the oldest makes way. Method:
// streams over pairs of sockets, of which the far ends say what they say; a host that counts steps, and a clock that
// only a step moves.

#include "server/arrival.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "io/tls_for_test.hpp"
#include "io/tls_session.hpp"

namespace jamsocket::server {
namespace {

class Host final : public ArrivalHost {
 public:
  Host() : loop_(std::move(*io::EventLoop::create())) {}

  // Asked for once a step.
  [[nodiscard]] std::span<char> receive_buffer() override {
    ++steps;
    clock.advance(a_step_takes);
    return buffer_;
  }
  [[nodiscard]] io::EventLoop& loop() override { return *loop_; }
  [[nodiscard]] io::TimerHeap& timers() override { return timers_; }
  [[nodiscard]] Counters& counters() override { return counters_; }
  [[nodiscard]] Logger& logger() override { return logger_; }
  void arrived(io::Stream, const io::PeerAddress&, session::Origin, SteadyTime, std::string) override {
    ++arrived_count;
  }
  void did_not_arrive() override { ++lost; }
  void limit_hit(Counter limit, const io::PeerAddress&) override { counters_.add(limit); }

  // What a shard's turn does with those whose bytes have come.
  void look() {
    for (const epoll_event& event : loop_->wait(std::chrono::nanoseconds{0})) {
      static_cast<io::EventHandler*>(event.data.ptr)->on_ready(event.events);
    }
  }

  ManualClock clock;
  Milliseconds a_step_takes{0};
  int steps = 0;
  int arrived_count = 0;
  int lost = 0;

 private:
  std::unique_ptr<io::EventLoop> loop_;
  io::TimerHeap timers_;
  Counters counters_;
  NullLogger logger_;
  std::vector<char> buffer_ = std::vector<char>(std::size_t{128} << 10U);
};

class ArrivalTurns : public testing::Test {
 protected:
  static constexpr std::size_t kAtOnceMax = 200;

  // One that has connected, and said `words`.
  void come(std::string_view words) {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    far_.emplace_back(fds[1]);
    arrivals_.begin(io::Stream(io::Socket(fds[0]), tls_, io::TlsLimits{}), {}, {},
                    host_.clock.steady() + Milliseconds{1000});
    ASSERT_EQ(far_.back().write(words).bytes, words.size());
  }
  // How many steps a turn makes.
  int turn() {
    const int before = host_.steps;
    host_.look();
    arrivals_.run();
    return host_.steps - before;
  }
  std::string hello() {
    client_.handshake();
    return client_.take_wire();
  }
  std::string answer_to(std::size_t number) {
    std::array<char, 65'536> answer;
    const io::IoResult got = far_[number].read(answer);
    return {answer.data(), got.bytes};
  }

  std::shared_ptr<const io::TlsContext> tls_ = io::test_context();
  io::TestTlsClient client_;
  Host host_;
  Arrivals arrivals_{host_, host_.clock, kAtOnceMax};
  std::vector<io::Socket> far_;
};

TEST_F(ArrivalTurns, ACrowdTakesABoundedNumberOfSteps) {
  for (int i = 0; i < 150; ++i) {
    come("\x16");
  }
  EXPECT_EQ(turn(), 64);
  EXPECT_TRUE(arrivals_.has_steps()) << "or the loop waits";
  EXPECT_EQ(turn(), 64);
  EXPECT_EQ(turn(), 22);
  EXPECT_FALSE(arrivals_.has_steps());
  EXPECT_EQ(turn(), 0);
}

TEST_F(ArrivalTurns, DearStepsAreBoundedByTheirTime) {
  host_.a_step_takes = Milliseconds{1};
  for (int i = 0; i < 5; ++i) {
    come("\x16");
  }
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(turn(), 1);
}

TEST_F(ArrivalTurns, WhoComesFirstIsServedFirst) {
  host_.a_step_takes = Milliseconds{1};
  for (int i = 0; i < 2; ++i) {
    come("\x16");
  }
  host_.look();
  come(hello());
  come("\x16");
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(answer_to(2), "");
  EXPECT_EQ(turn(), 2);
  EXPECT_EQ(answer_to(2).substr(0, 1), "\x16") << "the server's hello";
}

TEST_F(ArrivalTurns, TheOldestMakesWayAndItsStepsAreForgotten) {
  for (std::size_t i = 0; i < kAtOnceMax; ++i) {
    come("\x16");
  }
  host_.look();
  come("\x16");
  EXPECT_EQ(host_.lost, 1);
  EXPECT_EQ(arrivals_.size(), kAtOnceMax);
  EXPECT_EQ(host_.counters().get(Counter::TlsCrowdedOut), 1U);
  int steps = 0;
  for (int i = 0; i < 5; ++i) {
    steps += turn();
    arrivals_.destroy_retired();
  }
  EXPECT_EQ(steps, static_cast<int>(kAtOnceMax));
  arrivals_.drop_all();
  EXPECT_EQ(arrivals_.size(), 0U);
  EXPECT_EQ(host_.lost, static_cast<int>(kAtOnceMax) + 1);
}

TEST_F(ArrivalTurns, TheDeadlineEndsWhoTrickles) {
  come("\x16");
  (void)turn();
  host_.clock.advance(Milliseconds{999});
  host_.timers().run_due(host_.clock.steady());
  EXPECT_EQ(host_.lost, 0);
  host_.clock.advance(Milliseconds{1});
  host_.timers().run_due(host_.clock.steady());
  EXPECT_EQ(host_.lost, 1);
  EXPECT_EQ(host_.counters().get(Counter::HandshakeTimeouts), 1U);
  EXPECT_EQ(host_.arrived_count, 0);
}

}  // namespace
}  // namespace jamsocket::server
