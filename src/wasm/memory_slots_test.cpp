#include "wasm/memory_slots.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

namespace jamsocket::wasm {
namespace {

constexpr MemorySlots::Shape kSmall{.reservation_bytes = std::size_t{1} << 20U, .guard_bytes = std::size_t{64} << 10U};
constexpr std::size_t kPage = std::size_t{64} << 10U;

TEST(MemorySlots, GivesZeroedPlacesAndFindsThem) {
  MemorySlots slots(kSmall);
  MemorySlot* const slot = slots.take(2 * kPage).value();
  EXPECT_EQ(slot->size_bytes, 2 * kPage);
  EXPECT_EQ(slots.find(slot->base), slot);
  EXPECT_EQ(slots.find(slot->base + 1), nullptr);
  EXPECT_EQ(slots.find(nullptr), nullptr);
  EXPECT_TRUE(std::all_of(slot->base, slot->base + slot->size_bytes, [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_EQ(slots.in_use(), 1U);
  slots.give_back(*slot);
  EXPECT_EQ(slots.in_use(), 0U);
}

TEST(MemorySlots, GrowsToTheLimitAndSaysWhenItRefused) {
  MemorySlots slots(kSmall);
  MemorySlot* const slot = slots.take(kPage).value();
  slot->limit_bytes = 4 * kPage;
  EXPECT_TRUE(MemorySlots::grow(*slot, 4 * kPage));
  slot->base[4 * kPage - 1] = std::byte{1};
  EXPECT_FALSE(slot->growth_refused);
  EXPECT_FALSE(MemorySlots::grow(*slot, 5 * kPage));
  EXPECT_TRUE(slot->growth_refused);
  EXPECT_EQ(slot->size_bytes, 4 * kPage);
  slots.give_back(*slot);
}

TEST(MemorySlots, RefusesMoreThanAReservation) {
  MemorySlots slots(kSmall);
  EXPECT_EQ(slots.take(kSmall.reservation_bytes + kPage).error().code, ErrorCode::TooLarge);
  MemorySlot* const whole = slots.take(kSmall.reservation_bytes).value();
  whole->base[kSmall.reservation_bytes - 1] = std::byte{1};
  slots.give_back(*whole);
}

std::size_t mappings_of_this_process() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<std::size_t>(
      std::count(std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>(), '\n'));
}

// Goal: what many rooms took goes back to the system. Method: 1,000 places, given back in three orders
// (the last first, the first first, every seventh), and the kernel's own count of mappings.
TEST(MemorySlots, GivesMappingsBack) {
  MemorySlots slots(kSmall);
  const std::size_t before = mappings_of_this_process();
  for (const std::size_t step : {1U, 999U, 7U}) {
    std::vector<MemorySlot*> taken;
    taken.reserve(1000);
    for (int i = 0; i < 1000; ++i) {
      taken.push_back(slots.take(kPage).value());
    }
    EXPECT_GT(mappings_of_this_process(), before + 1000);
    for (std::size_t i = 0; i < taken.size(); ++i) {
      slots.give_back(*taken[i * step % taken.size()]);
    }
    EXPECT_EQ(slots.in_use(), 0U);
    EXPECT_LT(mappings_of_this_process(), before + 200) << step;  // One block of 64 is kept.
  }
}

// Goal: nothing of one room is seen by the next. Method: fill a slot, give it back, take it again at
// several sizes.
TEST(MemorySlots, ForgetsWhatWasThere) {
  MemorySlots slots(kSmall);
  for (const std::size_t pages : {1U, 16U, 2U, 3U, 16U, 1U}) {
    MemorySlot* const slot = slots.take(pages * kPage).value();
    ASSERT_TRUE(std::all_of(slot->base, slot->base + slot->size_bytes, [](std::byte b) { return b == std::byte{0}; }))
        << pages;
    std::fill_n(slot->base, slot->size_bytes, std::byte{0x5a});
    slots.give_back(*slot);
  }
}

std::size_t resident_pages(const MemorySlot& slot, std::size_t bytes) {
  std::vector<unsigned char> in_memory(bytes / 4096);
  EXPECT_EQ(::mincore(slot.base, bytes, in_memory.data()), 0);
  return static_cast<std::size_t>(std::count(in_memory.begin(), in_memory.end(), 1));
}

// 64 slots at the same time, written all over. @return which they were.
std::vector<MemorySlot*> take_and_give_back(MemorySlots& slots, std::size_t bytes) {
  std::vector<MemorySlot*> taken;
  for (int i = 0; i < 64; ++i) {
    taken.push_back(slots.take(bytes).value());
    std::fill_n(taken.back()->base, taken.back()->size_bytes, std::byte{0x5a});
  }
  for (MemorySlot* const slot : taken) {
    slots.give_back(*slot);
  }
  return taken;
}

// Goal: the next room need not wait for memory that the last one had. Method: slots that were written all over and
// slots that were hardly touched, and the kernel's word on which pages are there.
TEST(MemorySlots, KeepsAFewInMemory) {
  MemorySlots slots(kSmall);
  const std::vector<MemorySlot*> taken = take_and_give_back(slots, 4 * kPage);
  EXPECT_EQ(slots.in_use(), 0U);
  std::size_t kept = 0;
  for (const MemorySlot* const slot : taken) {
    kept += resident_pages(*slot, 4 * kPage);
  }
  EXPECT_EQ(kept * 4096, std::size_t{8} << 20U);  // Of 16 MiB.
  // These are handed out first.
  MemorySlot* const same = slots.take(4 * kPage).value();
  EXPECT_EQ(resident_pages(*same, 4 * kPage), 64U);
  // What one does not use of a larger one comes with its growth.
  MemorySlot* const growing = slots.take(kPage).value();
  EXPECT_EQ(growing->accessible_bytes, kPage);
  EXPECT_TRUE(MemorySlots::grow(*growing, 6 * kPage));
  EXPECT_EQ(resident_pages(*growing, 6 * kPage), 64U);
  EXPECT_TRUE(
      std::all_of(growing->base, growing->base + 6 * kPage, [](std::byte each) { return each == std::byte{0}; }));
  slots.give_back(*same);
  slots.give_back(*growing);
  EXPECT_EQ(slots.in_use(), 0U);
}

// Goal: what is kept and nobody's has one bound, also where small rooms take what large ones left. Method: as many
// small ones as there are slots, then large ones that come and go, twice.
TEST(MemorySlots, KeepsNoMoreWhereSmallRoomsFollowLargeOnes) {
  MemorySlots slots(kSmall);
  std::vector<MemorySlot*> all;
  for (int round = 0; round < 2; ++round) {
    (void)take_and_give_back(slots, 8 * kPage);
    for (int i = 0; i < 64; ++i) {
      all.push_back(slots.take(kPage).value());
      all.back()->base[0] = std::byte{1};
    }
    std::size_t resident = 0;
    for (const MemorySlot* const slot : all) {
      resident += resident_pages(*slot, 8 * kPage);
    }
    EXPECT_LE(resident, (std::size_t{8} << 20U) / 4096 + all.size() * 16) << round;
  }
  for (MemorySlot* const slot : all) {
    slots.give_back(*slot);
  }
}

TEST(MemorySlots, GivesDifferentPlacesToThoseAlive) {
  MemorySlots slots(kSmall);
  std::set<std::byte*> bases;
  std::vector<MemorySlot*> taken;
  for (int i = 0; i < 200; ++i) {
    taken.push_back(slots.take(kPage).value());
    EXPECT_TRUE(bases.insert(taken.back()->base).second);
  }
  for (MemorySlot* const slot : taken) {
    EXPECT_EQ(slots.find(slot->base), slot);
    slots.give_back(*slot);
  }
}

TEST(MemorySlotsDeathTest, FaultsBeyondTheSize) {
  MemorySlots slots(kSmall);
  MemorySlot* const used = slots.take(8 * kPage).value();
  slots.give_back(*used);
  MemorySlot* const slot = slots.take(kPage).value();  // The same place, kept accessible for more before.
  ASSERT_EQ(slot, used);
  auto* const beyond = reinterpret_cast<unsigned char*>(slot->base + kPage);
  EXPECT_DEATH(std::atomic_ref(*beyond).store(1), "");
  slots.give_back(*slot);
}

}  // namespace
}  // namespace jamsocket::wasm
