#include "store/log_row.hpp"

#include <gtest/gtest.h>

namespace jamsocket::store {
namespace {

RowWriter three_records() {
  RowWriter row(7);
  row.add({.key = RoomKey{1}, .number = 4, .timer_ms = 0, .bytes = "four"});
  row.add({.key = RoomKey{1}, .number = 5, .timer_ms = 99, .bytes = ""});
  row.add({.key = RoomKey{2}, .number = 1, .timer_ms = 0, .bytes = "one"});
  return row;
}

TEST(LogRow, RecordsComeBackAsTheyWere) {
  const RowWriter row = three_records();
  RowReader reader(7, row.body());
  RowRecord record;
  ASSERT_EQ(reader.next(record), RowReader::Step::Record);
  EXPECT_EQ(record.key, RoomKey{1});
  EXPECT_EQ(record.number, 4U);
  EXPECT_EQ(record.bytes, "four");
  ASSERT_EQ(reader.next(record), RowReader::Step::Record);
  EXPECT_EQ(record.timer_ms, 99);
  EXPECT_EQ(record.bytes, "");
  ASSERT_EQ(reader.next(record), RowReader::Step::Record);
  EXPECT_EQ(record.key, RoomKey{2});
  EXPECT_EQ(reader.next(record), RowReader::Step::End);
}

TEST(LogRow, TheDirectoryNamesRunsWithoutGaps) {
  const RowWriter row = three_records();
  const auto runs = parse_directory(7, row.directory());
  ASSERT_TRUE(runs);
  const std::vector<RowRun> expected{{.key = RoomKey{1}, .first = 4, .count = 2, .timer_ms = 99},
                                     {.key = RoomKey{2}, .first = 1, .count = 1, .timer_ms = 0}};
  EXPECT_EQ(*runs, expected);
}

// The bytes of docs/durability.md: what a reader of another program would have to understand.
TEST(LogRow, TheFormatIsTheOneDescribed) {
  RowWriter row(1);
  row.add({.key = RoomKey{2}, .number = 3, .timer_ms = 4, .bytes = "hi"});
  const std::string& body = row.body();
  ASSERT_EQ(body.size(), 34U);
  EXPECT_EQ(body.substr(0, 4), std::string("\2\0\0\0", 4));
  EXPECT_EQ(body.substr(8, 8), std::string("\2\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(body.substr(16, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(body.substr(24, 8), std::string("\4\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(body.substr(32), "hi");
}

// Goal: no flipped bit passes for a record. Method: each bit of a body, one at a time.
TEST(LogRow, EveryFlippedBitIsSeen) {
  const RowWriter row = three_records();
  for (std::size_t bit = 0; bit < row.body().size() * 8; ++bit) {
    std::string body = row.body();
    body[bit / 8] = static_cast<char>(static_cast<unsigned char>(body[bit / 8]) ^ (1U << (bit % 8)));
    RowReader reader(7, body);
    RowRecord record;
    bool seen = false;
    int intact = 0;
    for (auto step = reader.next(record); step != RowReader::Step::End; step = reader.next(record)) {
      intact += step == RowReader::Step::Record ? 1 : 0;
      if (step != RowReader::Step::Record) {
        seen = true;
        if (step == RowReader::Step::Lost) {
          break;
        }
      }
    }
    EXPECT_TRUE(seen) << "bit " << bit;
    EXPECT_LT(intact, 3) << "bit " << bit;
  }
}

TEST(LogRow, EveryFlippedBitOfADirectoryIsSeen) {
  const std::string whole = three_records().directory();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string directory = whole;
    directory[bit / 8] = static_cast<char>(static_cast<unsigned char>(directory[bit / 8]) ^ (1U << (bit % 8)));
    EXPECT_FALSE(parse_directory(7, directory)) << "bit " << bit;
  }
}

TEST(LogRow, CutAnywhereItIsNotWhole) {
  const RowWriter row = three_records();
  for (std::size_t length = 0; length < row.body().size(); ++length) {
    RowReader reader(7, std::string_view(row.body()).substr(0, length));
    RowRecord record;
    int intact = 0;
    while (reader.next(record) == RowReader::Step::Record) {
      ++intact;
    }
    EXPECT_LT(intact, 3) << length;
  }
  EXPECT_FALSE(parse_directory(7, std::string_view(row.directory()).substr(0, 10)));
}

TEST(LogRow, AnotherRowsBytesAreRefused) {
  const RowWriter row = three_records();
  RowReader reader(8, row.body());
  RowRecord record;
  EXPECT_EQ(reader.next(record), RowReader::Step::Damaged);
  EXPECT_FALSE(parse_directory(8, row.directory()));
}

}  // namespace
}  // namespace jamsocket::store
