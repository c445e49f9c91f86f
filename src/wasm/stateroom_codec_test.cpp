#include "wasm/stateroom_codec.hpp"

#include <gtest/gtest.h>

#include <string>

namespace jamsocket::wasm::stateroom {
namespace {

using std::string_literals::operator""s;

TEST(StateroomCodec, WritesEvents) {
  EXPECT_EQ(EventHead::init().view(), "\0\0\0\0"s);
  EXPECT_EQ(EventHead::connect(ClientId{258}).view(), "\1\0\0\0\2\1\0\0"s);
  EXPECT_EQ(EventHead::disconnect(ClientId{1}).view(), "\2\0\0\0\1\0\0\0"s);
  EXPECT_EQ(EventHead::text(ClientId{3}, 2).view(), "\3\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0"s);
  EXPECT_EQ(EventHead::bytes(ClientId{3}, 300).view(), "\3\0\0\0\3\0\0\0\0\0\0\0\x2c\1\0\0\0\0\0\0"s);
  EXPECT_EQ(EventHead::timer().view(), "\4\0\0\0"s);
}

TEST(StateroomCodec, ReadsMessages) {
  // A command's payload points into what was decoded.
  const std::string to_all_bytes = "\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0hi"s;
  const auto to_all = decode_command(to_all_bytes);
  ASSERT_TRUE(to_all.has_value());
  EXPECT_EQ(to_all->kind, Command::Kind::Message);
  EXPECT_TRUE(to_all->is_text);
  EXPECT_EQ(to_all->payload, "hi");
  EXPECT_EQ(to_all->resolved(), Recipient(broadcast));

  const std::string to_one = "\0\0\0\0\1\0\0\0\7\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\1\2\3"s;
  const auto command = decode_command(to_one);
  ASSERT_TRUE(command.has_value());
  EXPECT_FALSE(command->is_text);
  EXPECT_EQ(command->payload, "\1\2\3");
  EXPECT_EQ(command->resolved(), Recipient(ClientId{7}));

  const auto to_others = decode_command("\0\0\0\0\2\0\0\0\7\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"s);
  ASSERT_TRUE(to_others.has_value());
  EXPECT_EQ(to_others->resolved(), Recipient(everyone_except(ClientId{7})));
}

TEST(StateroomCodec, ReadsTimers) {
  const auto command = decode_command("\1\0\0\0\xe8\3\0\0"s);
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->kind, Command::Kind::SetTimer);
  EXPECT_EQ(command->delay_ms, 1000U);
}

TEST(StateroomCodec, KnowsClientsThatCannotBe) {
  const auto resolved = [](RecipientKind kind, std::uint32_t client) {
    return Command{.recipient = kind, .client = client}.resolved();
  };
  EXPECT_EQ(resolved(RecipientKind::Client, 0), std::nullopt);
  EXPECT_EQ(resolved(RecipientKind::Client, 0x80000000U), std::nullopt);
  EXPECT_EQ(resolved(RecipientKind::EveryoneExcept, 0), Recipient(broadcast));
  EXPECT_EQ(resolved(RecipientKind::EveryoneExcept, 0xffffffffU), Recipient(broadcast));
}

TEST(StateroomCodec, RefusesEveryPrefixAndUnknownKinds) {
  const std::string whole = "\0\0\0\0\2\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0hi"s;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_command(std::string_view(whole).substr(0, size)).has_value()) << size;
  }
  EXPECT_TRUE(decode_command(whole + "behind").has_value());
  EXPECT_FALSE(decode_command("\2\0\0\0\0\0\0\0"s).has_value());
  EXPECT_FALSE(decode_command("\0\0\0\0\3\0\0\0\7\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"s).has_value());
  EXPECT_FALSE(decode_command("\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0"s).has_value());
  EXPECT_FALSE(decode_command("\0\0\0\0\0\0\0\0\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"s).has_value());
}

}  // namespace
}  // namespace jamsocket::wasm::stateroom
