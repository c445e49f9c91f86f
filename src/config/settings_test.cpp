#include "config/settings.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "config/assign.hpp"

namespace jamsocket::config {
namespace {

TEST(Settings, KeysAndFlagsAreUnique) {
  std::set<std::string, std::less<>> keys;
  std::set<std::string, std::less<>> flags;
  for (const Entry& entry : entries()) {
    EXPECT_TRUE(keys.emplace(entry.key).second) << entry.key;
    EXPECT_TRUE(entry.flags.empty() || flags.emplace(entry.flags).second) << entry.flags;
    EXPECT_FALSE(entry.help.empty() || entry.help.ends_with('.')) << entry.key;
  }
}

TEST(Settings, EveryDefaultIsAllowed) {
  const Settings defaults;
  for (const Entry& entry : entries()) {
    if (const Number* number = std::get_if<Number>(&entry.field)) {
      EXPECT_GE(number->get(defaults), number->least) << entry.key;
      EXPECT_LE(number->get(defaults), number->most) << entry.key;
    } else if (const Text* text = std::get_if<Text>(&entry.field)) {
      Settings copy = defaults;
      EXPECT_TRUE(text->field(copy).empty() || text->is_allowed(text->field(copy))) << entry.key;
    }
  }
}

// Goal: no two rows of the table share a field, and each row reads what it wrote.
// Method: set each to an edge in turn; exactly this row must then show another value.
TEST(Settings, EveryNumberSetsItsOwnFieldAtBothEdges) {
  for (const Entry& entry : entries()) {
    const Number* number = std::get_if<Number>(&entry.field);
    if (number == nullptr) {
      continue;
    }
    for (const std::uint64_t edge : {number->least, number->most}) {
      Settings settings;
      EXPECT_EQ(assign_text(entry, std::to_string(edge), {}, settings), "") << entry.key;
      EXPECT_EQ(number->get(settings), edge) << entry.key;
      for (const Entry& other : entries()) {
        if (&other != &entry) {
          EXPECT_EQ(value_as_toml(other, settings), value_as_toml(other, Settings{})) << entry.key << " " << other.key;
        }
      }
    }
    Settings settings;
    EXPECT_NE(assign_text(entry, std::to_string(number->most + 1), {}, settings), "") << entry.key;
    if (number->least > 0) {
      EXPECT_NE(assign_text(entry, std::to_string(number->least - 1), {}, settings), "") << entry.key;
    }
    EXPECT_EQ(value_as_toml(entry, settings), value_as_toml(entry, Settings{})) << entry.key;
  }
}

TEST(Settings, TextsAreWrittenAsToml) {
  Settings settings;
  settings.server.host = "a\"b\\c\n";
  EXPECT_EQ(value_as_toml(*find_entry("server.host"), settings), "\"a\\\"b\\\\c\\u000A\"");
  EXPECT_EQ(value_as_toml(*find_entry("server.port"), settings), "8080");
  EXPECT_EQ(value_as_toml(*find_entry("limits.room_memory_bytes_max"), settings), "\"64MiB\"");
  EXPECT_EQ(value_as_toml(*find_entry("service.client_headers"), settings),
            "[\"origin\", \"user-agent\", \"accept-language\"]");
}

}  // namespace
}  // namespace jamsocket::config
