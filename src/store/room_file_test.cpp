#include "store/room_file.hpp"

#include <gtest/gtest.h>

namespace jamsocket::store {
namespace {

StoredRoom a_room() {
  return {.key = RoomKey{7},
          .name = {.service = "counter", .id = "lob\nby"},
          .birth = "born",
          .checkpoint = Checkpoint{.number = 4, .timer_ms = 9, .bytes = std::string(5000, 's')},
          .tail = {{.number = 5, .timer_ms = 0, .bytes = ""}, {.number = 6, .timer_ms = -1, .bytes = "six"}}};
}

TEST(RoomFile, ARoomComesBackAsItWas) {
  const auto back = from_room_file(to_room_file(a_room()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->name, a_room().name);
  EXPECT_EQ(back->birth, "born");
  EXPECT_EQ(back->checkpoint, a_room().checkpoint);
  EXPECT_EQ(back->tail, a_room().tail);
}

TEST(RoomFile, ASmallFileOfALargeRoomIsNotUnpacked) {
  StoredRoom room = a_room();
  room.checkpoint->bytes = std::string(1'000'000, 's');
  const std::string file = to_room_file(room);
  ASSERT_LT(file.size(), 10'000U);
  const auto refused = from_room_file(file, 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::TooLarge);
  EXPECT_TRUE(from_room_file(file, 1'001'000));
}

// Goal: no byte of a file can be wrong unseen. Method: each byte changed, and each length.
TEST(RoomFile, DamageIsSeen) {
  const std::string file = to_room_file(a_room());
  for (std::size_t at = 0; at < file.size(); ++at) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_FALSE(from_room_file(changed)) << at;
    EXPECT_FALSE(from_room_file(std::string_view(file).substr(0, at))) << at;
  }
}

}  // namespace
}  // namespace jamsocket::store
