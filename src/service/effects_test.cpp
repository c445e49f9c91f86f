#include "service/effects.hpp"

#include <gtest/gtest.h>

namespace jamsocket::service {
namespace {

constexpr EffectLimits kTiny{.sends_max = 3, .send_bytes_max = 10, .log_bytes_max = 9};

TEST(Effects, KeepsOrderAndBytes) {
  Effects effects;
  EXPECT_EQ(effects.send_text(broadcast, "hello"), Effects::Push::Done);
  EXPECT_EQ(effects.send_binary(ClientId{7}, ""), Effects::Push::Done);
  effects.set_timer(250);
  ASSERT_EQ(effects.list().size(), 3U);
  EXPECT_EQ(effects.list()[0].kind, EffectKind::SendText);
  EXPECT_EQ(effects.bytes_of(effects.list()[0]), "hello");
  EXPECT_EQ(effects.list()[1].recipient, Recipient(ClientId{7}));
  EXPECT_EQ(effects.bytes_of(effects.list()[1]), "");
  EXPECT_EQ(effects.list()[2].delay_ms, 250U);
}

TEST(Effects, BoundsSendsAndBytesExactlyAtTheirLimits) {
  Effects effects(kTiny);
  EXPECT_EQ(effects.send_binary(broadcast, "0123456789"), Effects::Push::Done);
  EXPECT_EQ(effects.send_binary(broadcast, "x"), Effects::Push::OverLimit);
  EXPECT_EQ(effects.limit_passed(), Counter::LimitSendBytes);
  EXPECT_EQ(effects.send_binary(broadcast, ""), Effects::Push::Done);
  EXPECT_EQ(effects.send_binary(broadcast, ""), Effects::Push::Done);
  EXPECT_EQ(effects.send_binary(broadcast, ""), Effects::Push::OverLimit);
  EXPECT_EQ(effects.limit_passed(), Counter::LimitSends);
  effects.clear();
  EXPECT_EQ(effects.send_binary(broadcast, "0123456789"), Effects::Push::Done);
}

// A head of two bytes.
Slice with_head(OutputArena& arena, MessageKind kind, std::string_view payload) {
  return arena.append(kind == MessageKind::Text ? "t:" : "b:", payload);
}

TEST(Effects, WritesWhatIsSentToWhereItLeavesFrom) {
  OutputArena arena(with_head);
  Effects effects;
  effects.write_to(&arena);
  EXPECT_EQ(effects.send_text(broadcast, "hello"), Effects::Push::Done);
  effects.log(LogLevel::Info, "a line");
  EXPECT_EQ(effects.send_binary(ClientId{7}, ""), Effects::Push::Done);
  ASSERT_EQ(effects.list().size(), 3U);
  EXPECT_EQ(effects.list()[0].frame.bytes(), "t:hello");
  EXPECT_EQ(effects.list()[2].frame.bytes(), "b:");
  EXPECT_EQ(effects.bytes_of(effects.list()[0]), "hello");
  EXPECT_EQ(effects.bytes_of(effects.list()[1]), "a line");
  EXPECT_EQ(effects.bytes_of(effects.list()[2]), "");
}

// Goal: a call that goes on elsewhere refers to nothing of its turn. Method: the turn ends, and its memory is used
// again.
TEST(Effects, LeaveTheTurnWithAllThatTheySay) {
  OutputArena arena(with_head);
  Effects effects;
  effects.write_to(&arena);
  EXPECT_EQ(effects.send_text(broadcast, "before"), Effects::Push::Done);
  effects.leave_arena();
  EXPECT_EQ(effects.send_binary(broadcast, "after"), Effects::Push::Done);
  arena.end_turn();
  (void)arena.append("", "overwritten, all of it");
  ASSERT_EQ(effects.list().size(), 2U);
  EXPECT_EQ(effects.bytes_of(effects.list()[0]), "before");
  EXPECT_EQ(effects.bytes_of(effects.list()[1]), "after");
  EXPECT_EQ(effects.list()[0].frame.chunk, nullptr);
  EXPECT_EQ(effects.list()[1].frame.chunk, nullptr);
}

TEST(Effects, BoundsWhatItWritesElsewhereToo) {
  OutputArena arena(with_head);
  Effects effects(kTiny);
  effects.write_to(&arena);
  EXPECT_EQ(effects.send_binary(broadcast, "0123456789"), Effects::Push::Done);
  EXPECT_EQ(effects.send_binary(broadcast, "x"), Effects::Push::OverLimit);
  effects.clear();
  EXPECT_EQ(effects.send_binary(broadcast, "y"), Effects::Push::Done);
  EXPECT_EQ(effects.list()[0].frame.chunk, nullptr) << "cleared, it forgets where it wrote to";
}

TEST(Effects, RefusesTextThatIsNotUtf8AndCodesThatMayNotGoOut) {
  Effects effects;
  EXPECT_EQ(effects.send_text(broadcast, "\xed\xa0\x80"), Effects::Push::NotUtf8);
  EXPECT_EQ(effects.close(ClientId{1}, 1005, ""), Effects::Push::Invalid);
  EXPECT_EQ(effects.close(ClientId{1}, 1001, ""), Effects::Push::Invalid);
  EXPECT_EQ(effects.close(ClientId{1}, 5000, ""), Effects::Push::Invalid);
  EXPECT_EQ(effects.close(ClientId{1}, 4000, std::string(124, 'x')), Effects::Push::Invalid);
  EXPECT_EQ(effects.close(ClientId{1}, 4000, std::string(123, 'x')), Effects::Push::Done);
  EXPECT_EQ(effects.list().size(), 1U);
}

TEST(Effects, DropsLogBeyondItsLimitAndSaysSoOnce) {
  Effects effects(kTiny);
  effects.log(LogLevel::Info, "1234567");
  EXPECT_EQ(effects.log_limit_passed(), std::nullopt);
  effects.log(LogLevel::Info, "x");
  effects.log(LogLevel::Info, "y");
  EXPECT_EQ(effects.log_limit_passed(), Counter::LimitLogBytes);
  ASSERT_EQ(effects.list().size(), 2U);
  EXPECT_EQ(effects.list()[1].level, LogLevel::Warn);
}

TEST(Effects, EmptyLogLinesCountToo) {
  Effects effects(kTiny);
  for (int i = 0; i < 1000; ++i) {
    effects.log(LogLevel::Info, "");
  }
  EXPECT_LE(effects.list().size(), 10U);
}

}  // namespace
}  // namespace jamsocket::service
