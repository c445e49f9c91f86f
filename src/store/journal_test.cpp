#include "store/journal.hpp"

#include <gtest/gtest.h>

#include "store/memory_store.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::name;

struct Target final : CommitTarget {
  void committed(Ticket ticket) override { heard.push_back(ticket); }
  void found(Result<std::optional<StoredRoom>> room) override { answers.push_back(std::move(room)); }
  std::vector<Ticket> heard;
  std::vector<Result<std::optional<StoredRoom>>> answers;
  Ticket last = 0;
};

class JournalTest : public ::testing::Test {
 protected:
  void create(Target& target, std::uint64_t key, std::string_view id) {
    journal.open().created.push_back({.key = RoomKey{key}, .name = name(id), .birth = {}});
    target.last = journal.written(target, target.last);
  }
  void append(Target& target, std::uint64_t key, std::uint64_t number) {
    journal.open().append(RoomKey{key}, number, 0, "x");
    target.last = journal.written(target, target.last);
  }

  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  MemoryStore store{disk};
  Journal journal{store, [](std::move_only_function<void()> task) { task(); }};
  Target a;
  Target b;
};

TEST_F(JournalTest, EachTargetHearsOnceABatch) {
  create(a, 1, "a");
  append(a, 1, 1);
  create(b, 2, "b");
  journal.flush();
  append(a, 1, 2);
  journal.flush();
  EXPECT_TRUE(a.heard.empty());
  EXPECT_FALSE(journal.is_idle());
  ASSERT_TRUE(store.commit_one());
  EXPECT_EQ(a.heard, std::vector<Ticket>{1});
  EXPECT_EQ(b.heard, std::vector<Ticket>{1});
  store.commit_all();
  EXPECT_EQ(a.heard, (std::vector<Ticket>{1, 2}));
  EXPECT_EQ(b.heard, std::vector<Ticket>{1});
  EXPECT_TRUE(journal.is_idle());
}

TEST_F(JournalTest, AnEmptyTurnHandsNothingOver) {
  journal.flush();
  EXPECT_EQ(store.in_flight(), 0U);
  EXPECT_TRUE(journal.is_idle());
}

TEST_F(JournalTest, FindSeesWhatWasWrittenBefore) {
  create(a, 1, "a");
  append(a, 1, 1);
  journal.find(b, name("a"));
  journal.find(b, name("nobody"));
  store.commit_all();
  ASSERT_EQ(b.answers.size(), 2U);
  ASSERT_TRUE(b.answers[0]->has_value());
  EXPECT_EQ((*b.answers[0])->tail.size(), 1U);
  EXPECT_FALSE(b.answers[1]->has_value());
  EXPECT_TRUE(journal.is_idle());
}

}  // namespace
}  // namespace jamsocket::store
