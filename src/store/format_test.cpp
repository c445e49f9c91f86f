// Files of older formats, as their own versions wrote them: tests/formats.

#include <gtest/gtest.h>

#include <filesystem>

#include "store/database.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::TemporaryFolder;

std::filesystem::path file_of(std::int64_t format) {
  return std::filesystem::path(JAMSOCKET_FORMATS_DIR) / ("format_" + std::to_string(format) + ".db");
}

class Format : public ::testing::TestWithParam<std::int64_t> {
 protected:
  std::int64_t version() {
    auto file = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadOnly);
    return file ? file->ask("PRAGMA user_version").value_or(-1) : -1;
  }
  TemporaryFolder folder;
};

TEST_P(Format, RoomsOfAnOlderFileAreAllThere) {
  std::filesystem::copy_file(file_of(GetParam()), folder.path() / "rooms.db");
  ASSERT_EQ(version(), GetParam());
  for (int round = 0; round < 2; ++round) {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database) << database.error().message;
    EXPECT_TRUE((*database)->check().value().empty());
    const auto lobby = (*database)->read({.service = "counter", .id = "lobby"}).value();
    ASSERT_TRUE(lobby);
    EXPECT_EQ(lobby->checkpoint->number, 1000U);
    EXPECT_EQ(lobby->tail.size(), 102U);  // A connect before them, a disconnect behind them.
    EXPECT_EQ((*database)->read({.service = "counter", .id = "small"}).value()->tail.size(), 3U);
    EXPECT_EQ((*database)->module_hashes().value().size(), 1U);
    EXPECT_EQ((*database)->next_key(), 3U);
  }
  EXPECT_EQ(version(), kFormatVersion);
}

INSTANTIATE_TEST_SUITE_P(Older, Format, ::testing::Range<std::int64_t>(1, kFormatVersion));

TEST(FormatTest, EachOlderFormatHasAFile) {
  for (std::int64_t format = 1; format < kFormatVersion; ++format) {
    EXPECT_TRUE(std::filesystem::exists(file_of(format))) << format;
  }
}

TEST(FormatTest, ANewerFormatIsRefusedWithASentenceAndLeftAlone) {
  TemporaryFolder folder;
  ASSERT_TRUE(Database::open(folder.path()));
  {
    const PageChecks page_checks("");
    auto file = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadWrite, page_checks.vfs_name());
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->execute("PRAGMA locking_mode=EXCLUSIVE"));
    ASSERT_TRUE(file->execute("PRAGMA user_version=99"));
  }
  const auto refused = Database::open(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
  EXPECT_NE(refused.error().message.find("a newer version of Jamsocket wrote it (format 99; this one reads up to"),
            std::string::npos)
      << refused.error().message;
  auto file = Connection::open(folder.path() / "rooms.db", Connection::Mode::ReadOnly);
  EXPECT_EQ(file->ask("PRAGMA user_version").value(), 99);
}

}  // namespace
}  // namespace jamsocket::store
