// Goal: who computes is found to take long, and who only waits for a processor is not. Method: ticks at given times.

#include <gtest/gtest.h>

#include <chrono>

#include "wasm/call_state.hpp"

namespace jamsocket::wasm {
namespace {

using namespace std::chrono_literals;

TEST(CallWatch, HoldsNobodySlowWhoseThreadHasNoProcessor) {
  const SteadyTime start{};
  CallWatch watch(ModuleLimits{});
  watch.start(CallWatch::Budget::Once);
  EXPECT_TRUE(watch.tick(start, 10ms));
  EXPECT_TRUE(watch.tick(start + 1ms, 10ms));
  EXPECT_TRUE(watch.tick(start + 4s, 10ms + 100us));
  EXPECT_FALSE(watch.runs_long());
  EXPECT_TRUE(watch.needs_exact_ticks()) << "nothing is decided yet";
  EXPECT_TRUE(watch.tick(start + 4s + 1ms, 11ms));
  EXPECT_TRUE(watch.runs_long());

  watch.start(CallWatch::Budget::Once);
  EXPECT_FALSE(watch.runs_long()) << "the next event is another matter";
  EXPECT_TRUE(watch.tick(start + 5s, 12ms));
  EXPECT_FALSE(watch.runs_long()) << "what came before the first tick is not counted";
  EXPECT_TRUE(watch.tick(start + 5s + 1ms, 13ms));
  EXPECT_TRUE(watch.runs_long());
}

TEST(CallWatch, EndsWhatIsOverItsBudget) {
  const SteadyTime start{};
  const ModuleLimits limits;
  CallWatch watch(limits);
  watch.start(CallWatch::Budget::Once);
  EXPECT_TRUE(watch.tick(start, 10ms));
  EXPECT_TRUE(watch.tick(start + 100ms, 10ms + limits.cpu_per_event - 1ns));
  EXPECT_FALSE(watch.tick(start + 101ms, 10ms + limits.cpu_per_event));
  EXPECT_EQ(watch.limit_passed(), Counter::LimitEventCpu);

  watch.start(CallWatch::Budget::Once);
  EXPECT_TRUE(watch.tick(start, 10ms));
  EXPECT_TRUE(watch.tick(start + limits.wall_per_event - 1ns, 10ms));
  EXPECT_FALSE(watch.tick(start + limits.wall_per_event, 10ms));
  EXPECT_EQ(watch.limit_passed(), Counter::LimitEventWall);

  watch.start(CallWatch::Budget::Again);
  EXPECT_TRUE(watch.tick(start, 10ms));
  EXPECT_TRUE(watch.tick(start + limits.wall_per_event, 10ms + limits.cpu_per_event)) << "it was within it once";
}

}  // namespace
}  // namespace jamsocket::wasm
