#include "wasm/mappings.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace jamsocket::wasm {
namespace {

TEST(Mappings, AreTwoForARoomAndSomeForTheProcess) {
  EXPECT_EQ(rooms_for_mappings(65'530), 30'717U) << "the kernel's default";
  EXPECT_EQ(rooms_for_mappings(1'048'576), 522'240U);
  EXPECT_EQ(rooms_for_mappings(8'193), 2'048U);
  EXPECT_EQ(rooms_for_mappings(8'192), 2'048U);
  EXPECT_EQ(rooms_for_mappings(1), 1U) << "a server with no room is none";
  EXPECT_EQ(rooms_for_mappings(std::numeric_limits<std::uint64_t>::max()), std::numeric_limits<std::uint32_t>::max());
}

TEST(Mappings, AreReadFromTheSystem) {
  ASSERT_TRUE(read_mappings_max().has_value());
  EXPECT_GT(*read_mappings_max(), 1000U);
  EXPECT_FALSE(read_mappings_max("/nowhere").has_value());
  EXPECT_FALSE(read_mappings_max("/proc/version").has_value()) << "no number";
}

}  // namespace
}  // namespace jamsocket::wasm
