#include "io/timer_heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

namespace jamsocket::io {
namespace {

SteadyTime at(int ms) { return SteadyTime{Milliseconds{ms}}; }

struct Recorder final : TimerTarget {
  Recorder(std::vector<int>& log, int id) : fired(log), name(id), node(*this) {}
  void on_timer() override { fired.push_back(name); }
  std::vector<int>& fired;
  int name;
  TimerNode node;
};

TEST(TimerHeap, RunsWhatIsDueInOrderAndNothingElse) {
  std::vector<int> fired;
  TimerHeap heap;
  Recorder late(fired, 30);
  Recorder soon(fired, 10);
  Recorder middle(fired, 20);
  heap.schedule(late.node, at(30));
  heap.schedule(soon.node, at(10));
  heap.schedule(middle.node, at(20));
  EXPECT_EQ(heap.next_deadline(), at(10));
  heap.run_due(at(9));
  EXPECT_TRUE(fired.empty());
  heap.run_due(at(20));
  EXPECT_EQ(fired, (std::vector<int>{10, 20}));
  heap.schedule(late.node, at(50));
  heap.run_due(at(49));
  EXPECT_EQ(fired.size(), 2U);
  late.node.cancel();
  EXPECT_EQ(heap.next_deadline(), std::nullopt);
}

struct Dear final : TimerTarget {
  Dear(ManualClock& its_clock, Milliseconds its_cost) : clock(its_clock), cost(its_cost), node(*this) {}
  void on_timer() override {
    clock.advance(cost);
    ++times;
  }
  ManualClock& clock;
  Milliseconds cost;
  int times = 0;
  TimerNode node;
};

// Goal: timers take their budget of a turn and no more, whether many are cheap or each costs more than there is.
// Method: they move the clock. Five for 1 ms, and three that take a whole budget each.
TEST(TimerHeap, RunsForItsBudgetTheFirstOnesTimeIncluded) {
  ManualClock clock;
  TimerHeap heap;
  std::vector<std::unique_ptr<Dear>> timers;
  for (const int cost_ms : {1, 1, 1, 1, 1, 3, 3, 3}) {
    timers.push_back(std::make_unique<Dear>(clock, Milliseconds{cost_ms}));
    heap.schedule(timers.back()->node, at(static_cast<int>(timers.size())));
  }
  const auto run = [&] {
    heap.run_due_for(at(8), clock, Milliseconds{3});
    return std::ranges::count_if(timers, [](const auto& timer) { return timer->times == 1; });
  };
  EXPECT_EQ(run(), 3);
  EXPECT_EQ(run(), 6) << "two cheap ones and one that takes longer than is left";
  EXPECT_EQ(run(), 7);
  EXPECT_EQ(run(), 8);
  EXPECT_EQ(run(), 8);
}

struct Again final : TimerTarget {
  explicit Again(TimerHeap& h) : heap(h), node(*this) {}
  void on_timer() override {
    ++times;
    heap.schedule(node, at(0));
  }
  TimerHeap& heap;
  int times = 0;
  TimerNode node;
};

TEST(TimerHeap, ATimerThatIsAlwaysDueRunsOnceACall) {
  TimerHeap heap;
  Again again(heap);
  heap.schedule(again.node, at(0));
  heap.run_due(at(1));
  EXPECT_EQ(again.times, 1);
  heap.run_due(at(1));
  EXPECT_EQ(again.times, 2);
}

TEST(TimerHeap, RunsWhatIsDueAsLongAsItMay) {
  std::vector<int> fired;
  TimerHeap heap;
  Recorder first(fired, 1);
  Recorder second(fired, 2);
  Recorder third(fired, 3);
  heap.schedule(first.node, at(1));
  heap.schedule(second.node, at(2));
  heap.schedule(third.node, at(3));
  heap.run_due(at(9), [&fired] { return fired.size() < 2; });
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
  EXPECT_EQ(heap.next_deadline(), at(3));
  heap.run_due(at(9), [] { return false; });
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
}

// Goal: order and membership hold under any mix of calls. Method: random schedule, move, cancel and
// destroy against a sorted list.
TEST(TimerHeap, AgreesWithASortedList) {
  constexpr unsigned kSeed = 20240607;
  SCOPED_TRACE(kSeed);
  std::minstd_rand generator(kSeed);
  std::vector<int> fired;
  TimerHeap heap;
  std::vector<std::unique_ptr<Recorder>> timers;
  std::vector<std::pair<int, int>> expected;  // deadline, name
  for (int i = 0; i < 2000; ++i) {
    const int deadline = static_cast<int>(generator() % 500);
    timers.push_back(std::make_unique<Recorder>(fired, i));
    heap.schedule(timers.back()->node, at(deadline));
    const std::size_t victim = generator() % timers.size();
    switch (generator() % 4) {
      case 0:
        timers[victim]->node.cancel();
        break;
      case 1:
        heap.schedule(timers[victim]->node, at(static_cast<int>(generator() % 500)));
        break;
      case 2:
        timers.erase(timers.begin() + static_cast<std::ptrdiff_t>(victim));
        break;
      default:
        break;
    }
  }
  for (const auto& timer : timers) {
    if (timer->node.is_scheduled()) {
      expected.emplace_back(static_cast<int>(timer->node.deadline().time_since_epoch() / Milliseconds{1}), timer->name);
    }
  }
  std::ranges::sort(expected);
  heap.run_due(at(499));
  ASSERT_EQ(fired.size(), expected.size());
  std::vector<int> names;
  names.reserve(expected.size());
  for (const auto& [deadline, name] : expected) {
    names.push_back(name);
  }
  std::ranges::sort(names);
  std::ranges::sort(fired);
  EXPECT_EQ(fired, names);
}

}  // namespace
}  // namespace jamsocket::io
