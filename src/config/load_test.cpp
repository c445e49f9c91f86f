#include "config/load.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "config/docs.hpp"

namespace jamsocket::config {
namespace {

class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "jamsocket-load-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(std::string_view text) {
    const std::string path = folder_ / "jamsocket.toml";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  static Flag flag(std::string_view key, std::string_view spelling, std::string_view value) {
    return {.entry = find_entry(key), .spelling = std::string(spelling), .value = std::string(value)};
  }

  static Sources with_environment(std::map<std::string, std::string, std::less<>> variables) {
    return {.file = {},
            .environment = [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
              const auto found = variables.find(name);
              return found == variables.end() ? std::nullopt : std::optional(found->second);
            },
            .flags = {}};
  }

  std::filesystem::path folder_;
};

std::string origin(const Loaded& loaded, std::string_view key) {
  return loaded.origins[static_cast<std::size_t>(find_entry(key) - entries().data())];
}

TEST_F(LoadTest, WithoutSourcesAllIsDefault) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->settings.server.port, 8080);
  EXPECT_EQ(loaded->settings.server.host, "127.0.0.1");
  EXPECT_EQ(loaded->settings.server.shutdown_policy, "300sec");
  EXPECT_THAT(loaded->origins, testing::Each("default"));
}

TEST_F(LoadTest, FlagBeforeEnvironmentBeforeFileBeforeDefault) {
  Sources sources = with_environment({{"PORT", "2"}, {"HOST", "::1"}, {"LOG_LEVEL", "warn"}});
  sources.file = write("[server]\nport = 3\nhost = \"::\"\nshards = 5\n");
  sources.flags = {flag("server.port", "-p", "1"), flag("server.log_level", "--log-level", "off")};
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->settings.server.port, 1);
  EXPECT_EQ(origin(*loaded, "server.port"), "-p");
  EXPECT_EQ(loaded->settings.server.host, "::1");
  EXPECT_EQ(origin(*loaded, "server.host"), "HOST");
  EXPECT_EQ(loaded->settings.server.shards, 5U);
  EXPECT_EQ(origin(*loaded, "server.shards"), *sources.file + ":4:10");
  EXPECT_EQ(loaded->settings.server.log_level, "off");
  EXPECT_EQ(origin(*loaded, "server.drain_timeout_seconds"), "default");
  EXPECT_TRUE(loaded->is_set("server.port"));
  EXPECT_TRUE(loaded->is_set("server.shards"));
  EXPECT_FALSE(loaded->is_set("server.drain_timeout_seconds"));
}

TEST_F(LoadTest, AServiceHasWhatItsSectionSetsAndElseTheWholes) {
  Sources sources;
  sources.file = write(
      "static_files = \".\"\n[service]\nmodule = \"own.wasm\"\nshutdown_policy = \"never\"\n"
      "[services.chat]\nmodule = \"chat.wasm\"\nclients_per_room_max = 3\n");
  sources.flags = {flag("service.room_strategy", "-r", "api")};
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded) << loaded.error().front();
  ASSERT_EQ(loaded->services.size(), 1U);
  const Settings& chat = loaded->services[0].settings;
  EXPECT_EQ(chat.server.limits.clients_per_room_max, 3U);
  EXPECT_EQ(chat.server.room_strategy, "api");
  EXPECT_EQ(chat.server.shutdown_policy, "never");
  EXPECT_EQ(chat.server.static_dir, "") << "files are not inherited";
  EXPECT_TRUE(chat.service.module.ends_with("/chat.wasm"));
  EXPECT_EQ(loaded->settings.server.limits.clients_per_room_max, 10'000U);
  EXPECT_THAT(settings_toml(*loaded), testing::HasSubstr("clients_per_room_max = 3\n"));
}

TEST_F(LoadTest, AServiceNeedsAModule) {
  Sources sources;
  sources.file = write("[service]\nmodule = \"own.wasm\"\n[services.chat]\n");
  const auto loaded = load(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error(), testing::ElementsAre(testing::HasSubstr(
                                  "jamsocket.toml:3:11: services.chat names no module; allowed: module = ")));
}

TEST_F(LoadTest, AnEmptyVariableCountsAsUnset) {
  const auto loaded = load(with_environment({{"PORT", ""}}));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->settings.server.port, 8080);
}

TEST_F(LoadTest, ABadVariableIsRefusedUnlessAFlagOverridesIt) {
  Sources sources = with_environment({{"PORT", "eighty"}});
  EXPECT_THAT(load(sources).error(),
              testing::ElementsAre("PORT: server.port is 'eighty'; allowed: 0 to 65535, a whole number"));
  sources.flags = {flag("server.port", "--port", "80")};
  EXPECT_TRUE(load(sources));
}

TEST_F(LoadTest, BadFlagsAreNamedAsTheyWereSpelled) {
  Sources sources;
  sources.flags = {flag("server.port", "-p", "-1"), flag("limits.rooms_max", "--set limits.rooms_max", "1e9"),
                   flag("service.shutdown_policy", "--shutdown-policy", "10")};
  EXPECT_THAT(
      load(sources).error(),
      testing::ElementsAre("-p: server.port is '-1'; allowed: 0 to 65535, a whole number",
                           "--set limits.rooms_max: limits.rooms_max is '1e9'; allowed: 1 to 100000000, a whole "
                           "number",
                           "--shutdown-policy: service.shutdown_policy is '10'; allowed: never, immediate, or "
                           "<n>sec with a whole number n, like 300sec"));
}

TEST_F(LoadTest, TheTimeoutMustBeLongerThanTheInterval) {
  Sources sources;
  sources.flags = {flag("server.heartbeat_interval_seconds", "-i", "60")};
  EXPECT_THAT(load(sources).error(),
              testing::ElementsAre("-i: server.heartbeat_timeout_seconds is 60; allowed: more than "
                                   "heartbeat_interval_seconds, which is 60"));
  sources.flags.push_back(flag("server.heartbeat_timeout_seconds", "-t", "61"));
  EXPECT_TRUE(load(sources));
}

TEST_F(LoadTest, AServiceIsNamedInOneWay) {
  Sources sources;
  sources.file = write("[service]\nmodule = \"a.wasm\"\nsource = \"a.cpp\"\n");
  EXPECT_THAT(
      load(sources).error(),
      testing::ElementsAre(*sources.file + ":2:10: service.module is set besides service.source; allowed: one of "
                                           "package, source and module"));
}

TEST_F(LoadTest, FilesThatAreNoneAreRefusedInOneLine) {
  Sources sources;
  sources.file = folder_.string();
  EXPECT_THAT(load(sources).error(), testing::ElementsAre(folder_.string() + ": is a folder; allowed: a TOML file"));
  sources.file = (folder_ / "missing.toml").string();
  EXPECT_THAT(load(sources).error(),
              testing::ElementsAre(*sources.file + ": cannot be read: No such file or directory"));
}

TEST_F(LoadTest, AFileOfOneMebibyteIsReadAndNoLarger) {
  const std::size_t limit = std::size_t{1} << 20U;
  Sources sources;
  sources.file = write("#" + std::string(limit - 1, 'x'));
  EXPECT_TRUE(load(sources));
  sources.file = write("#" + std::string(limit, 'x'));
  EXPECT_THAT(load(sources).error(), testing::ElementsAre(*sources.file + ": is too large; allowed: 1MiB"));
}

TEST_F(LoadTest, SetFlagsNameAnyKey) {
  const auto good = parse_set_flag("limits.message_bytes_max=64KiB");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->entry, find_entry("limits.message_bytes_max"));
  EXPECT_EQ(good->value, "64KiB");
  EXPECT_EQ(parse_set_flag("server.prot=1").error(), "--set: unknown key 'server.prot'; did you mean 'server.port'?");
  EXPECT_EQ(parse_set_flag("server.port").error(),
            "--set: 'server.port' has no '='; allowed: KEY=VALUE, like server.port=8080");
}

// What `page` has under the title of `section`; all of it for "", as those keys have none.
std::string_view under_title(std::string_view page, std::string_view section) {
  const std::string title = fmt::format("[{}]\n", section);
  const std::size_t begin = section.empty() ? 0 : page.find(title);
  if (begin == std::string_view::npos) {
    return {};
  }
  const std::string_view rest = page.substr(begin + (section.empty() ? 0 : title.size()));
  return rest.substr(0, std::min(rest.find("\n["), rest.find("\n## [")));
}

// Goal: no section of the table is left out of a page. Method: look for each key under its section's title.
TEST_F(LoadTest, EveryKeyIsOnEveryPage) {
  const auto loaded = load(Sources{});
  ASSERT_TRUE(loaded);
  const std::string reference = reference_markdown();
  const std::string example = example_toml();
  const std::string in_force = settings_toml(*loaded);
  for (const Entry& entry : entries()) {
    const std::size_t dot = entry.key.find('.');
    const std::string_view section = dot == std::string_view::npos ? "" : entry.key.substr(0, dot);
    const std::string line = fmt::format("{} = ", last_word(entry.key));
    EXPECT_TRUE(under_title(reference, section).contains(fmt::format("\n| `{}` |", last_word(entry.key)))) << entry.key;
    EXPECT_TRUE(under_title(example, section).contains("\n# " + line)) << entry.key;
    EXPECT_TRUE(under_title(in_force, section).contains(line)) << entry.key;
  }
}

// Goal: what we print as an example is a file we accept, and means the defaults.
// Method: remove the marks in front of the keys that have a default, and load it.
TEST_F(LoadTest, TheExampleFileUncommentedMeansTheDefaults) {
  std::string text;
  std::istringstream lines(example_toml());
  for (std::string line; std::getline(lines, line);) {
    const bool sets =
        line.starts_with("# ") && line.find(" = ") != std::string::npos && line.find(". ") == std::string::npos;
    text += (sets && !line.ends_with("\"\"") ? line.substr(2) : line) + "\n";
  }
  Sources sources;
  sources.file = write(text);
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded) << loaded.error().front();
  const Settings defaults;
  std::size_t from_file = 0;
  for (const Entry& entry : entries()) {
    EXPECT_EQ(value_as_toml(entry, loaded->settings), value_as_toml(entry, defaults)) << entry.key;
    from_file += origin(*loaded, entry.key) == "default" ? 0U : 1U;
  }
  EXPECT_GT(from_file, entries().size() - 15);  // Some have no default to write down.
}

TEST_F(LoadTest, TheSettingsInForceCanBeLoadedAgain) {
  Sources sources;
  sources.flags = {flag("server.port", "-p", "1234"), flag("limits.message_bytes_max", "--set", "77")};
  const auto first = load(sources);
  ASSERT_TRUE(first);
  Sources again;
  again.file = write(settings_toml(*first));
  const auto second = load(again);
  ASSERT_TRUE(second) << second.error().front();
  for (const Entry& entry : entries()) {
    EXPECT_EQ(value_as_toml(entry, first->settings), value_as_toml(entry, second->settings)) << entry.key;
  }
}

}  // namespace
}  // namespace jamsocket::config
