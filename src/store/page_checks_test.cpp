#include "store/page_checks.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "store/database.hpp"
#include "store/testing.hpp"

namespace jamsocket::store {
namespace {

using testing::TemporaryFolder;

class PageChecksTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder.path() / "x.db"; }
  static Result<Connection> opened(const std::string& path, const std::string& vfs) {
    auto connection = Connection::open(path, Connection::Mode::ReadWrite, vfs);
    if (connection) {
      JAM_TRY_VOID(connection->execute("PRAGMA locking_mode=EXCLUSIVE"));
    }
    return connection;
  }
  /// A table of some pages.
  void fill(const Connection& connection) {
    ASSERT_TRUE(connection.execute("PRAGMA journal_mode=WAL"));
    ASSERT_TRUE(connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)"));
    ASSERT_TRUE(
        connection.execute("INSERT INTO t SELECT value, randomblob(600) FROM generate_series(1, 100)").has_value() ||
        connection.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
                           "INSERT INTO t SELECT i, randomblob(600) FROM n"));
  }
  void flip(std::uintmax_t bit) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(bit / 8);
    file.seekg(at);
    const int byte = file.get();
    file.seekp(at);
    file.put(static_cast<char>(byte ^ (1 << (bit % 8))));
  }

  TemporaryFolder folder;
  PageChecks checks{""};
};

TEST_F(PageChecksTest, WhatWasWrittenIsReadAgain) {
  {
    const auto connection = opened(path(), checks.vfs_name());
    ASSERT_TRUE(PageChecks::prepare(*connection));
    fill(*connection);
  }
  const auto connection = opened(path(), checks.vfs_name());
  EXPECT_EQ(connection->ask("SELECT count(*) FROM t").value(), 100);
  EXPECT_EQ(connection->ask("SELECT sum(length(b)) FROM t").value(), 60'000);
}

// Goal: a flipped bit in a page that is read is told. Method: one in every 997th place, and all that is read.
TEST_F(PageChecksTest, AFlippedBitIsTold) {
  {
    const auto connection = opened(path(), checks.vfs_name());
    ASSERT_TRUE(PageChecks::prepare(*connection));
    fill(*connection);
  }
  const std::uintmax_t bits = std::filesystem::file_size(path()) * 8;
  constexpr std::uintmax_t kHeaderBits = 800;  // SQLite has its own mind about those.
  for (std::uintmax_t bit = kHeaderBits; bit < bits; bit += 997) {
    flip(bit);
    const auto connection = opened(path(), checks.vfs_name());
    const auto sum = connection->ask("SELECT sum(length(b)) FROM t NOT INDEXED WHERE b <> x''");
    ASSERT_FALSE(sum) << "bit " << bit;
    EXPECT_EQ(sum.error().code, ErrorCode::Malformed) << sum.error().message;
    flip(bit);
  }
}

TEST_F(PageChecksTest, AFileWithoutGetsThem) {
  {
    const auto plain = opened(path(), "");
    fill(*plain);
  }
  {
    const auto connection = opened(path(), checks.vfs_name());
    ASSERT_TRUE(connection->ask("PRAGMA application_id"));
    ASSERT_TRUE(PageChecks::bring_up(*connection));
    ASSERT_TRUE(connection->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  const auto connection = opened(path(), checks.vfs_name());
  EXPECT_EQ(connection->ask("SELECT sum(length(b)) FROM t").value(), 60'000);
  std::ifstream file(path(), std::ios::binary);
  file.seekg(20);
  EXPECT_EQ(file.get(), 4);
}

}  // namespace
}  // namespace jamsocket::store
