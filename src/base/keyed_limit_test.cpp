#include "base/keyed_limit.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

namespace jamsocket {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1000s};

TEST(TokenBucket, GivesAPeriodsWorthAtOnceAndThenAtTheRate) {
  const Rate rate{.amount_max = 10, .period = 1s};
  TokenBucket bucket;
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(bucket.take(1, rate, kStart)) << i;
  }
  EXPECT_FALSE(bucket.take(1, rate, kStart));
  EXPECT_FALSE(bucket.take(1, rate, kStart + 99ms));
  EXPECT_TRUE(bucket.take(1, rate, kStart + 100ms));
  EXPECT_FALSE(bucket.take(1, rate, kStart + 100ms));
  EXPECT_FALSE(bucket.is_full(kStart + 1099ms));
  EXPECT_TRUE(bucket.is_full(kStart + 1100ms));
}

TEST(TokenBucket, SaysHowLongADebtLasts) {
  const Rate rate{.amount_max = 1000, .period = 1s};
  TokenBucket bucket;
  bucket.spend(1000, rate, kStart);
  EXPECT_EQ(bucket.debt(rate, kStart), 0ns);
  bucket.spend(500, rate, kStart);
  EXPECT_EQ(bucket.debt(rate, kStart), 500ms);
  EXPECT_EQ(bucket.debt(rate, kStart + 500ms), 0ns);
}

TEST(KeyedLimit, CountsEachKeyAlone) {
  KeyedLimit limit({.places_max = 2});
  std::optional first = *limit.take("a", kStart);
  const auto second = limit.take("a", kStart);
  const auto other = limit.take("b", kStart);
  EXPECT_TRUE(second && other);
  EXPECT_EQ(limit.take("a", kStart).error(), KeyedLimit::Refusal::TooMany);
  first.reset();
  EXPECT_TRUE(limit.take("a", kStart)) << "a place that was given back is free";
}

TEST(KeyedLimit, APlaceIsGivenBackOnceHoweverItMoves) {
  KeyedLimit limit({.places_max = 1});
  {
    KeyedLimit::Place place = *limit.take("a", kStart);
    KeyedLimit::Place moved = std::move(place);
    place = std::move(moved);
    EXPECT_TRUE(place.is_held());
    EXPECT_FALSE(limit.take("a", kStart));
  }
  EXPECT_TRUE(limit.take("a", kStart));
  EXPECT_EQ(limit.keys(), 0U) << "nobody is left";
}

TEST(KeyedLimit, NewOnesComeAtTheirRate) {
  KeyedLimit limit({.rate = {.amount_max = 3, .period = 1s}});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(limit.take("a", kStart));
  }
  EXPECT_EQ(limit.take("a", kStart).error(), KeyedLimit::Refusal::TooFast);
  EXPECT_TRUE(limit.take("b", kStart));
  EXPECT_TRUE(limit.take("a", kStart + 334ms));
}

TEST(KeyedLimit, ForgetsWhoHasNotComeForLong) {
  KeyedLimit limit({.rate = {.amount_max = 3, .period = 1s}});
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(limit.take(std::to_string(i), kStart));
  }
  EXPECT_EQ(limit.keys(), 10'000U);
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(limit.take("new" + std::to_string(i), kStart + 5s));
  }
  EXPECT_EQ(limit.keys(), 1'000U);
}

// Goal: no place is lost or given twice. Method: threads that take and give back at once.
TEST(KeyedLimit, HoldsWithManyThreads) {
  KeyedLimit limit({.places_max = 3});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&limit] {
      for (int round = 0; round < 5'000; ++round) {
        const auto place = limit.take("a", kStart);
        const auto other = limit.take(std::to_string(round % 7), kStart);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(limit.keys() <= 8, true);
  const auto first = limit.take("a", kStart);
  const auto second = limit.take("a", kStart);
  const auto third = limit.take("a", kStart);
  EXPECT_TRUE(first && second && third);
  EXPECT_FALSE(limit.take("a", kStart));
}

}  // namespace
}  // namespace jamsocket
