#include "store/buffers.hpp"

#include <gtest/gtest.h>

namespace jamsocket::store {
namespace {

TEST(Buffers, GivesWhatCameBackToWhomItFits) {
  Buffers buffers;
  std::string large = buffers.take(100'000);
  std::string small = buffers.take(1'000);
  large = std::string(50'000, 'x');
  large.reserve(100'000);
  const char* const large_at = large.data();
  const char* const small_at = small.data();
  buffers.give_back(std::move(large));
  buffers.give_back(std::move(small));
  const std::string first = buffers.take(900);
  EXPECT_EQ(first.data(), small_at);
  EXPECT_TRUE(first.empty());
  const std::string second = buffers.take(60'000);
  EXPECT_EQ(second.data(), large_at);
  EXPECT_TRUE(second.empty());
  EXPECT_GE(second.capacity(), 60'000U);
}

TEST(Buffers, KeepsAFewAndNoneThatIsVeryLarge) {
  Buffers buffers;
  std::string huge = buffers.take(Buffers::kKeptBytesMax + 1);
  const std::size_t huge_bytes = huge.capacity();
  buffers.give_back(std::move(huge));
  EXPECT_LT(buffers.take(1).capacity(), huge_bytes);
  for (std::size_t bytes = 1'000; bytes <= 1'000 * (Buffers::kKept + 1); bytes += 1'000) {
    std::string spent;
    spent.reserve(bytes);
    buffers.give_back(std::move(spent));
  }
  // The smallest made way, so that the next that fits is another.
  EXPECT_GE(buffers.take(1).capacity(), 2'000U);
}

}  // namespace
}  // namespace jamsocket::store
