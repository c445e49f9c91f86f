#include "io/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

namespace jamsocket::io {
namespace {

struct Flag final : EventHandler {
  void on_ready(std::uint32_t events) override { seen |= events; }
  std::uint32_t seen = 0;
};

void dispatch(std::span<const epoll_event> ready) {
  for (const epoll_event& event : ready) {
    static_cast<EventHandler*>(event.data.ptr)->on_ready(event.events);
  }
}

TEST(EventLoop, TellsWhoIsReady) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.has_value());
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
  const Socket near(fds[0]);
  const Socket far(fds[1]);
  Flag flag;
  ASSERT_TRUE((*loop)->add(near, EPOLLIN, flag).has_value());
  dispatch((*loop)->wait(std::chrono::nanoseconds{0}));
  EXPECT_EQ(flag.seen, 0U);
  ASSERT_EQ(far.write("x").bytes, 1U);
  dispatch((*loop)->wait(std::nullopt));
  EXPECT_EQ(flag.seen, static_cast<std::uint32_t>(EPOLLIN));
  (*loop)->change(near, EPOLLOUT, flag);
  dispatch((*loop)->wait(std::nullopt));
  EXPECT_EQ(flag.seen, static_cast<std::uint32_t>(EPOLLIN | EPOLLOUT));
  (*loop)->remove(near);
  EXPECT_TRUE((*loop)->wait(std::chrono::nanoseconds{0}).empty());
}

TEST(EventLoop, IsWokenFromAnotherThread) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop.has_value());
  std::jthread other([&loop] { (*loop)->wake(); });
  EXPECT_TRUE((*loop)->wait(std::nullopt).empty());
}

}  // namespace
}  // namespace jamsocket::io
