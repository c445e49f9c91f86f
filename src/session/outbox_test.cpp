#include "session/outbox.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

namespace jamsocket::session {
namespace {

constexpr OutboxLimits kTiny{.bytes_max = 100, .messages_max = 5};

struct Wire {
  Wire() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    near = io::Stream(io::Socket(fds[0]));
    far = io::Socket(fds[1]);
  }
  std::string received() {
    std::string all;
    std::array<char, 65536> buffer;
    for (;;) {
      const io::IoResult got = far.read(buffer);
      if (got.status != io::IoStatus::Done) {
        return all;
      }
      all.append(buffer.data(), got.bytes);
    }
  }
  Outbox::Flush flush(Outbox::Writable writable = Outbox::Writable::Unknown) {
    const Outbox::Flush flushed = outbox.flush(near, arena, counters, writable);
    arena.end_turn();
    return flushed;
  }

  io::Stream near;
  io::Socket far;
  OutputArena arena{OutputArena::bare, 4096};
  Counters counters;
  Outbox outbox;
};

TEST(Outbox, SendsATurnInOneCallAndInOrder) {
  Wire wire;
  for (const char* frame : {"a", "b", "c"}) {
    EXPECT_EQ(wire.outbox.push(wire.arena.append(frame, ""), kTiny), Outbox::Push::Queued);
  }
  EXPECT_EQ(wire.flush(), Outbox::Flush::Drained);
  EXPECT_EQ(wire.received(), "abc");
  EXPECT_EQ(wire.counters.get(Counter::Sends), 1U);
  EXPECT_TRUE(wire.outbox.empty());
}

TEST(Outbox, GathersSlicesThatAreApart) {
  Wire wire;
  for (const char* frame : {"a", "b", "c"}) {
    EXPECT_EQ(wire.outbox.push(wire.arena.append(frame, ""), kTiny), Outbox::Push::Queued);
    (void)wire.arena.append("someone else's", "");
  }
  EXPECT_EQ(wire.outbox.queued_messages(), 3U);
  EXPECT_EQ(wire.flush(), Outbox::Flush::Drained);
  EXPECT_EQ(wire.received(), "abc");
  EXPECT_EQ(wire.counters.get(Counter::Sends), 1U);
}

TEST(Outbox, IsFullOneByteOrOneMessagePastItsLimits) {
  Wire wire;
  EXPECT_EQ(wire.outbox.push(wire.arena.append(std::string(99, 'x'), ""), kTiny), Outbox::Push::Queued);
  EXPECT_EQ(wire.outbox.push(wire.arena.append("yy", ""), kTiny), Outbox::Push::Full);
  EXPECT_EQ(wire.outbox.push(wire.arena.append("y", ""), kTiny), Outbox::Push::Queued);
  EXPECT_EQ(wire.outbox.queued_bytes(), 100U);
  EXPECT_EQ(wire.flush(), Outbox::Flush::Drained);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(wire.outbox.push(wire.arena.append("m", ""), kTiny), Outbox::Push::Queued);
  }
  EXPECT_EQ(wire.outbox.push(wire.arena.append("m", ""), kTiny), Outbox::Push::Full);
}

TEST(Outbox, TakesOneMessageOfAnySizeWhenNothingWaits) {
  Wire wire;
  EXPECT_EQ(wire.outbox.push(wire.arena.append(std::string(1000, 'x'), ""), kTiny), Outbox::Push::Queued);
}

// Goal: bytes that the socket would not take arrive later, once, in order, with what was queued
// meanwhile behind them. Method: a peer that reads late; many turns; counted bytes.
TEST(Outbox, KeepsWhatTheSocketWouldNotTake) {
  Wire wire;
  constexpr OutboxLimits kWide{.bytes_max = std::size_t{64} << 20U, .messages_max = 100'000};
  std::string expected;
  Outbox::Flush flushed = Outbox::Flush::Drained;
  for (int i = 0; i < 400; ++i) {
    const std::string body(static_cast<std::size_t>(i % 7) * 1000, static_cast<char>('a' + i % 26));
    expected += "#" + body;
    ASSERT_EQ(wire.outbox.push(wire.arena.append("#", body), kWide), Outbox::Push::Queued);
    flushed = wire.flush();
  }
  ASSERT_EQ(flushed, Outbox::Flush::Blocked);
  EXPECT_TRUE(wire.outbox.is_blocked());
  wire.outbox.set_pending_pong("first");
  wire.outbox.set_pending_pong("pong");
  std::string got;
  for (int i = 0; i < 1000 && wire.outbox.is_blocked(); ++i) {
    got += wire.received();
    flushed = wire.flush(Outbox::Writable::Yes);
  }
  got += wire.received();
  EXPECT_EQ(flushed, Outbox::Flush::Drained);
  EXPECT_EQ(got, expected + "pong");
  EXPECT_TRUE(wire.outbox.empty());
}

TEST(Outbox, SaysWhenTheConnectionIsBroken) {
  Wire wire;
  wire.far.close();
  EXPECT_EQ(wire.outbox.push(wire.arena.append("x", ""), kTiny), Outbox::Push::Queued);
  EXPECT_EQ(wire.flush(), Outbox::Flush::Failed);
}

}  // namespace
}  // namespace jamsocket::session
