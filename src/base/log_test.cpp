#include "base/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace jamsocket {
namespace {

// What the logger writes to standard error while `write` runs.
template <class Write>
std::string stderr_of(const LogOptions& options, Write write) {
  testing::internal::CaptureStderr();
  {
    auto logger = make_stderr_logger(options);
    EXPECT_TRUE(logger.has_value());
    write(**logger);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesOneJsonLineWhateverAPeerSays) {
  const std::string line = stderr_of({.level = "info", .format = LogFormat::JsonLines}, [](Logger& log) {
    log.info("room.failed", {{"room", "a\n\"b\x1b\xff"}, {"clients", 3}, {"ok", false}});
  });
  EXPECT_NE(line.find(R"("event":"room.failed","room":"a\n\"b\u001b\ufffdff","clients":3,"ok":false})"),
            std::string::npos)
      << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST(Log, TextQuotesOnlyWhatNeedsIt) {
  const std::string line =
      stderr_of({}, [](Logger& log) { log.warn("a.b", {{"x", "y"}, {"z", "two words"}, {"e", ""}}); });
  EXPECT_NE(line.find("warn  a.b x=y z=\"two words\" e=\"\""), std::string::npos) << line;
}

TEST(Log, KeepsQuietBelowItsLevelAndWhenOff) {
  const auto write = [](Logger& log) {
    log.debug("d", {});
    log.info("i", {});
    log.error("e", {});
  };
  EXPECT_EQ(stderr_of({.level = "off"}, write), "");
  const std::string lines = stderr_of({.level = "error"}, write);
  EXPECT_EQ(lines.find(" i"), std::string::npos);
  EXPECT_NE(lines.find("error e"), std::string::npos);
}

TEST(Log, ChangesItsLevelWhileItRuns) {
  const std::string lines = stderr_of({.level = "error"}, [](Logger& log) {
    log.info("before", {});
    log.set_threshold(LogThreshold::Info);
    log.info("after", {});
    log.set_threshold(LogThreshold::Off);
    log.error("never", {});
    EXPECT_EQ(to_string(log.threshold()), "off");
  });
  EXPECT_EQ(lines.find("before"), std::string::npos);
  EXPECT_NE(lines.find("after"), std::string::npos);
  EXPECT_EQ(lines.find("never"), std::string::npos);
}

TEST(Log, NamesTheAllowedLevels) {
  const auto logger = make_stderr_logger({.level = "loud"});
  ASSERT_FALSE(logger.has_value());
  EXPECT_EQ(logger.error().message, "log level 'loud' is not one of debug, info, warn, error, off");
}

}  // namespace
}  // namespace jamsocket
