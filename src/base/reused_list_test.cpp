#include "base/reused_list.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace jamsocket {
namespace {

using List = ReusedList<int>;

std::vector<int> items_of(const List& list) { return {list.begin(), list.end()}; }

TEST(ReusedList, HoldsWhatWasAddedInOrder) {
  List list;
  EXPECT_TRUE(list.empty());
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(list.push_back(i), i);
  }
  EXPECT_EQ(items_of(list), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(list.size(), 10U);
  EXPECT_EQ(list[9], 9);
}

TEST(ReusedList, KeepsItsRoomWhenItIsCleared) {
  List list;
  for (int i = 0; i < 10; ++i) {
    list.push_back(i);
  }
  const std::size_t capacity = list.capacity();
  list.clear();
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.capacity(), capacity);
  list.push_back(7);
  EXPECT_EQ(items_of(list), std::vector<int>{7});
  list.shrink_to_fit();
  EXPECT_EQ(list.capacity(), 1U);
  EXPECT_EQ(items_of(list), std::vector<int>{7});
}

TEST(ReusedList, LeavesNothingBehindWhenItMoves) {
  List list;
  list.push_back(1);
  List other = std::move(list);
  EXPECT_EQ(items_of(other), std::vector<int>{1});
  EXPECT_TRUE(list.empty());  // NOLINT(bugprone-use-after-move): what it is to be.
  list.push_back(2);
  other = std::move(list);
  EXPECT_EQ(items_of(other), std::vector<int>{2});
}

TEST(ReusedListDeathTest, IsNotReadBeyondItsEnd) {
  List list;
  list.push_back(1);
  list.clear();
  EXPECT_DEATH((void)list[0], "");
}

}  // namespace
}  // namespace jamsocket
