#include "service/random.hpp"

#include <gtest/gtest.h>

#include <array>

namespace jamsocket::service {
namespace {

std::array<std::byte, 16> draw(const Seed& seed, std::uint64_t number) {
  std::array<std::byte, 16> out{};
  EventRandom(seed, number).fill(out);
  return out;
}

// @source RFC 8439 appendix A.1, test vector 1: key, nonce and counter zero.
TEST(EventRandom, IsChaCha20) {
  constexpr std::array<unsigned char, 16> kStream{0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                                  0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28};
  const auto drawn = draw(Seed{}, 0);
  for (std::size_t i = 0; i < kStream.size(); ++i) {
    EXPECT_EQ(std::to_integer<unsigned char>(drawn[i]), kStream[i]);
  }
}

TEST(EventRandom, IsTheSameAgainAndOtherwiseDifferent) {
  const Seed seed = random_seed();
  EXPECT_EQ(draw(seed, 5), draw(seed, 5));
  EXPECT_NE(draw(seed, 5), draw(seed, 6));
  EXPECT_NE(draw(seed, 5), draw(random_seed(), 5));
}

TEST(EventRandom, DoesNotDependOnHowItIsDrawn) {
  const Seed seed = random_seed();
  std::array<std::byte, 10'000> whole{};
  std::array<std::byte, 10'000> pieces{};
  EventRandom(seed, 1).fill(whole);
  EventRandom stream(seed, 1);
  stream.fill(std::span(pieces).first(1));
  stream.fill(std::span(pieces).subspan(1, 4097));
  stream.fill(std::span(pieces).subspan(4098));
  EXPECT_EQ(whole, pieces);
}

}  // namespace
}  // namespace jamsocket::service
