#include "base/output.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jamsocket {
namespace {

TEST(OutputArena, FramesInOrderMakeOneSlice) {
  OutputArena arena(OutputArena::bare, 64);
  Slice first = arena.append("h1", "body");
  const Slice second = arena.append("h2", "");
  EXPECT_TRUE(first.extend(second));
  EXPECT_EQ(first.bytes(), "h1bodyh2");
}

TEST(OutputArena, AGapOrANewChunkDoesNotExtend) {
  OutputArena arena(OutputArena::bare, 8);
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
  OutputArena arena(OutputArena::bare, 64);
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
  OutputArena arena(OutputArena::bare, 1024);
  const Slice slice = arena.append("broadcast", "");
  const KeptSlice one = arena.keep(slice);
  const KeptSlice two = arena.keep(slice);
  EXPECT_EQ(one.slice().chunk, two.slice().chunk);
}

// Goal: what waits for many is there once, also where a turn wrote it to several chunks. Method: clients that each keep
// the same small slices of all chunks, one client after the other.
TEST(OutputArena, ClientsThatKeepSeveralSlicesShareThem) {
  constexpr std::size_t kChunks = 100;
  OutputArena arena(OutputArena::bare, 64);
  std::vector<Slice> slices;
  for (std::size_t i = 0; i < kChunks; ++i) {
    slices.push_back(arena.append(std::string(20, static_cast<char>('a' + i % 26)), ""));
    (void)arena.append(std::string(40, '.'), "");
  }
  std::vector<KeptSlice> first;
  std::vector<KeptSlice> others;
  for (int client = 0; client < 3; ++client) {
    for (const Slice slice : slices) {
      (client == 0 ? first : others).push_back(arena.keep(slice));
    }
  }
  arena.end_turn();
  (void)arena.append(std::string(64, '!'), "");
  for (std::size_t i = 0; i < others.size(); ++i) {
    const KeptSlice& same = first[i % kChunks];
    EXPECT_EQ(others[i].slice().chunk, same.slice().chunk) << i;
    EXPECT_EQ(others[i].slice().bytes(), std::string(20, static_cast<char>('a' + i % kChunks % 26)));
  }
}

// More different ones than are known: each is what it was.
TEST(OutputArena, ManyKeptSlicesAreNotMixedUp) {
  OutputArena arena(OutputArena::bare, 64);
  std::vector<KeptSlice> kept;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100; ++i) {
      const Slice slice = arena.append(std::to_string(i), "");
      kept.push_back(arena.keep(slice));
      kept.push_back(arena.keep(slice));
    }
    arena.end_turn();
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i].slice().bytes(), std::to_string(i / 2 % 100));
  }
}

// Goal: messages lie side by side, heads and all. Method: heads of two sizes.
TEST(OutputArena, WritesMessagesAsItWasTold) {
  OutputArena arena([](OutputArena& to, MessageKind kind,
                       std::string_view payload) { return to.append(kind == MessageKind::Text ? "<" : "==", payload); },
                    64);
  Slice first = arena.append_message(MessageKind::Text, "four");
  const Slice second = arena.append_message(MessageKind::Binary, "and more");
  const Slice nothing = arena.append_message(MessageKind::Text, {});
  EXPECT_TRUE(first.extend(second));
  EXPECT_TRUE(first.extend(nothing));
  EXPECT_EQ(first.bytes(), "<four==and more<");
}

TEST(OutputArena, UsesAgainWhatIsGivenBackAndIsTheLast) {
  OutputArena arena(OutputArena::bare, 64);
  const Slice kept = arena.append("kept", "");
  const Slice first = arena.append("first", "");
  const Slice last = arena.append("last", "");
  arena.give_back(first);
  EXPECT_EQ(arena.append("x", "").begin, last.end) << "it was not the last";
  const Slice unused = arena.append("unused", "");
  arena.give_back(unused);
  EXPECT_EQ(arena.append("y", "").begin, unused.begin);
  EXPECT_EQ(kept.bytes(), "kept");
  EXPECT_EQ(last.bytes(), "last");
}

TEST(OutputArena, KeptSlicesMayOutliveTheArena) {
  auto arena = std::make_unique<OutputArena>(OutputArena::bare, 16);
  KeptSlice kept = arena->keep(arena->append("0123456789", ""));
  arena.reset();
  KeptSlice moved = std::move(kept);
  EXPECT_EQ(moved.slice().bytes(), "0123456789");
}

}  // namespace
}  // namespace jamsocket
