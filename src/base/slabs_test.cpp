// Goal: many small blocks lie apart from the heap, and what they took goes back. Under AddressSanitizer they are the
// heap's own, and only what holds there too is looked at.

#include "base/slabs.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "base/sanitizers.hpp"

namespace jamsocket {
namespace {

TEST(Slabs, BlocksOfAllSizesAreAlignedAndDoNotOverlap) {
  Slabs slabs;
  std::mt19937_64 random(1);
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (int i = 0; i < 20'000; ++i) {
    if (!blocks.empty() && random() % 3 == 0) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      const auto [block, bytes] = blocks.back();
      blocks.pop_back();
      for (std::size_t at = 0; at < bytes; ++at) {
        ASSERT_EQ(block[at], static_cast<unsigned char>(bytes)) << "somebody else wrote here";
      }
      slabs.deallocate(block, bytes);
    } else {
      const std::size_t bytes = 1 + random() % 600;
      auto* const block = static_cast<unsigned char*>(slabs.allocate(bytes));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0U);
      std::memset(block, static_cast<int>(bytes), bytes);
      blocks.emplace_back(block, bytes);
    }
  }
  for (const auto& [block, bytes] : blocks) {
    slabs.deallocate(block, bytes);
  }
}

TEST(Slabs, ChunksInWhichNothingIsLeftGoBack) {
  if (kAddressSanitizer) {
    GTEST_SKIP() << "the sanitizer's heap has them";
  }
  Slabs slabs;
  std::vector<void*> blocks;
  blocks.reserve(10'000);
  for (int i = 0; i < 10'000; ++i) {
    blocks.push_back(slabs.allocate(224));
  }
  const std::size_t most = slabs.chunks();
  EXPECT_GE(most, 10'000U * 224 / 65'536);
  EXPECT_LE(most, 10'000U * 224 / 65'536 + 2);
  for (std::size_t i = 0; i < blocks.size(); i += 2) {
    slabs.deallocate(blocks[i], 224);
  }
  EXPECT_EQ(slabs.chunks(), most);
  for (std::size_t i = 0; i < blocks.size(); i += 2) {
    blocks[i] = slabs.allocate(224);
  }
  EXPECT_EQ(slabs.chunks(), most) << "what is free is used again";
  EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), blocks.size());
  for (void* const block : blocks) {
    slabs.deallocate(block, 224);
  }
  EXPECT_EQ(slabs.chunks(), 1U);
}

TEST(Slabs, OneThatComesAndGoesAloneMakesNoChunkEachTime) {
  if (kAddressSanitizer) {
    GTEST_SKIP() << "the sanitizer's heap has them";
  }
  Slabs slabs;
  void* const first = slabs.allocate(100);
  slabs.deallocate(first, 100);
  EXPECT_EQ(slabs.chunks(), 1U);
  void* const again = slabs.allocate(100);
  EXPECT_EQ(again, first);
  slabs.deallocate(again, 100);
}

}  // namespace
}  // namespace jamsocket
