#include "room/gate.hpp"

#include <gtest/gtest.h>

namespace jamsocket::room {
namespace {

TEST(FlatQueue, IsFirstInFirstOut) {
  FlatQueue<int> queue;
  int pushed = 0;
  for (int expected = 0; expected < 1000; ++expected) {
    queue.push(pushed++);
    queue.push(pushed++);
    EXPECT_EQ(queue.front(), expected);
    queue.pop();
  }
  EXPECT_FALSE(queue.empty());
}

// A room that sleeps has nothing in it, and keeps nothing for it.
TEST(FlatQueue, GivesItsMemoryBackOnceItIsEmpty) {
  FlatQueue<int> queue;
  queue.push(1);
  queue.push(2);
  queue.pop();
  queue.release_memory();
  EXPECT_EQ(queue.front(), 2);
  queue.pop();
  EXPECT_GT(queue.capacity(), 0U);
  queue.release_memory();
  EXPECT_EQ(queue.capacity(), 0U);
  queue.push(3);
  EXPECT_EQ(queue.front(), 3);
}

}  // namespace
}  // namespace jamsocket::room
