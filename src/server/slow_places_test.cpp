#include "server/slow_places.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace jamsocket::server {
namespace {

struct Room {};
using Places = SlowPlaces<Room>;

TEST(SlowPlaces, CallsThatLoadHaveAPartOnly) {
  Places places(8);
  EXPECT_TRUE(places.take(SlowKind::Loads));
  EXPECT_TRUE(places.take(SlowKind::Loads));
  EXPECT_FALSE(places.take(SlowKind::Loads));
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(places.take(SlowKind::Runs));
  }
  EXPECT_FALSE(places.take(SlowKind::Runs));
  places.give_back(SlowKind::Loads);
  EXPECT_TRUE(places.take(SlowKind::Runs));
  EXPECT_FALSE(places.take(SlowKind::Loads)) << "there is none at all";
}

TEST(SlowPlaces, OneMayLoadHoweverFewThereAre) {
  Places places(1);
  EXPECT_TRUE(places.take(SlowKind::Loads));
  EXPECT_FALSE(places.take(SlowKind::Runs));
}

TEST(SlowPlaces, WhoWaitsGoesOnWhenThereIsAPlaceOfItsKind) {
  Places places(4);
  Room runs;
  Room loads;
  Room loads_too;
  ASSERT_TRUE(places.take(SlowKind::Loads));
  places.wait(loads, SlowKind::Loads);
  places.wait(loads_too, SlowKind::Loads);
  EXPECT_FALSE(places.is_one_free_for_who_waits());
  places.wait(runs, SlowKind::Runs);
  EXPECT_TRUE(places.is_one_free_for_who_waits());
  std::vector<Room*> went_on;
  const auto go_on = [&](Room& room) { went_on.push_back(&room); };
  places.let_go_on(go_on);
  EXPECT_EQ(went_on, std::vector{&runs});
  places.give_back(SlowKind::Loads);
  EXPECT_TRUE(places.is_one_free_for_who_waits());
  places.let_go_on(go_on);
  places.let_go_on(go_on);  // The first did not take its place.
  EXPECT_EQ(went_on, (std::vector{&runs, &loads, &loads_too}));
  EXPECT_EQ(places.waiting(), 0U);
}

TEST(SlowPlaces, WhoIsGoneWaitsNoMore) {
  Places places(1);
  Room one;
  Room other;
  places.wait(one, SlowKind::Runs);
  places.wait(other, SlowKind::Loads);
  places.remove(one);
  places.remove(other);
  EXPECT_EQ(places.waiting(), 0U);
  EXPECT_FALSE(places.is_one_free_for_who_waits());
}

}  // namespace
}  // namespace jamsocket::server
