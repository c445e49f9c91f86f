#include "io/output.hpp"

#include <gtest/gtest.h>

#include <string>

namespace jamsocket::io {
namespace {

TEST(OutputArena, FramesInOrderMakeOneSlice) {
  OutputArena arena(64);
  Slice first = arena.append("h1", "body");
  const Slice second = arena.append("h2", "");
  EXPECT_TRUE(first.extend(second));
  EXPECT_EQ(first.bytes(), "h1bodyh2");
  EXPECT_EQ(first.messages, 2U);
}

TEST(OutputArena, AGapOrANewChunkDoesNotExtend) {
  OutputArena arena(8);
  Slice first = arena.append("aa", "bb");
  const Slice second = arena.append("cc", "");
  Slice third = arena.append("dd", "");
  EXPECT_FALSE(first.extend(third));
  const Slice elsewhere = arena.append("0123456789abcdef", "");
  EXPECT_FALSE(third.extend(elsewhere));
  EXPECT_EQ(elsewhere.bytes(), "0123456789abcdef");
  EXPECT_EQ(second.bytes(), "cc");
}

// Goal: what a slow client keeps stays as it was while the arena goes on. Method: keep a small and a
// large slice, end the turn, write over the arena.
TEST(OutputArena, KeptBytesOutliveTheTurn) {
  OutputArena arena(64);
  const std::string large(40, 'L');
  const Slice small_slice = arena.append("small", "");
  const Slice large_slice = arena.append(large, "");
  const KeptSlice small_kept = arena.keep(small_slice);
  const KeptSlice large_kept = arena.keep(large_slice);
  EXPECT_NE(small_kept.slice().chunk, small_slice.chunk) << "a small part of a chunk is copied out";
  EXPECT_EQ(large_kept.slice().chunk, large_slice.chunk) << "most of a chunk is shared";
  arena.end_turn();
  for (int i = 0; i < 10; ++i) {
    (void)arena.append(std::string(30, 'x'), "");
  }
  EXPECT_EQ(small_kept.slice().bytes(), "small");
  EXPECT_EQ(large_kept.slice().bytes(), large);
}

TEST(OutputArena, ClientsThatKeepTheSameSliceShareOneCopy) {
  OutputArena arena(1024);
  const Slice slice = arena.append("broadcast", "");
  const KeptSlice one = arena.keep(slice);
  const KeptSlice two = arena.keep(slice);
  EXPECT_EQ(one.slice().chunk, two.slice().chunk);
  EXPECT_EQ(one.slice().messages, 1U);
}

TEST(OutputArena, KeptSlicesMayOutliveTheArena) {
  auto arena = std::make_unique<OutputArena>(16);
  KeptSlice kept = arena->keep(arena->append("0123456789", ""));
  arena.reset();
  KeptSlice moved = std::move(kept);
  EXPECT_EQ(moved.slice().bytes(), "0123456789");
}

}  // namespace
}  // namespace jamsocket::io
