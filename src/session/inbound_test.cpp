#include "session/inbound.hpp"

#include <gtest/gtest.h>

#include <string>

namespace jamsocket::session {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1000s};

TEST(Inbound, WaitsAsLongAsTheDebtLastsAndKeepsWhatWasRead) {
  io::TimerHeap timers;
  int resumed = 0;
  Inbound inbound({.messages = {.amount_max = 10}}, [&] { ++resumed; });
  for (int i = 0; i < 10; ++i) {
    inbound.spend_message(kStart);
    EXPECT_EQ(inbound.over_limit(kStart), std::nullopt) << i;
  }
  inbound.spend_message(kStart);
  EXPECT_EQ(inbound.over_limit(kStart), Counter::LimitClientMessages);
  const std::string rest = "the rest";
  inbound.hold(rest, kStart, timers);
  EXPECT_TRUE(inbound.is_waiting());
  timers.run_due(kStart + 99ms);
  EXPECT_EQ(resumed, 0);
  timers.run_due(kStart + 100ms);
  EXPECT_EQ(resumed, 1);
  EXPECT_EQ(inbound.take_held(), "the rest");
  EXPECT_FALSE(inbound.is_waiting());
  EXPECT_EQ(inbound.over_limit(kStart + 100ms), std::nullopt);
}

TEST(Inbound, BytesAreCountedByThemselves) {
  io::TimerHeap timers;
  Inbound inbound({.bytes = {.amount_max = 1000}}, [] {});
  inbound.spend_message(kStart);  // Not limited.
  inbound.spend_bytes(1000, kStart);
  EXPECT_EQ(inbound.over_limit(kStart), std::nullopt);
  inbound.spend_bytes(1, kStart);
  EXPECT_EQ(inbound.over_limit(kStart), Counter::LimitClientBytes);
  EXPECT_EQ(inbound.over_limit(kStart + 1ms), std::nullopt);
}

TEST(Inbound, TheLongerDebtCounts) {
  io::TimerHeap timers;
  bool resumed = false;
  Inbound inbound({.messages = {.amount_max = 1}, .bytes = {.amount_max = 1000}}, [&] { resumed = true; });
  inbound.spend_bytes(3500, kStart);  // 2.5 s too much.
  inbound.spend_message(kStart);
  inbound.spend_message(kStart);  // 1 s too much.
  inbound.hold({}, kStart, timers);
  timers.run_due(kStart + 2s);
  EXPECT_FALSE(resumed);
  timers.run_due(kStart + 2500ms);
  EXPECT_TRUE(resumed);
}

TEST(Inbound, IsOffUnlessALimitIsSet) {
  EXPECT_FALSE(InboundLimits{}.are_on());
  EXPECT_TRUE(InboundLimits{.messages = {.amount_max = 1}}.are_on());
  EXPECT_TRUE(InboundLimits{.bytes = {.amount_max = 1024}}.are_on());
}

}  // namespace
}  // namespace jamsocket::session
