#include "base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

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

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(fds.data()), 0); }
  ~Pipe() {
    ::close(fds[0]);
    ::close(fds[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Reads until `wanted` has come, at most `bytes_max`.
  std::string read_until(std::string_view wanted, std::size_t bytes_max) const {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.size() < bytes_max && text.find(wanted) == std::string::npos) {
      const ssize_t got = ::read(fds[0], buffer.data(), buffer.size());
      if (got <= 0) {
        break;
      }
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
  }

  std::array<int, 2> fds{};
};

constexpr int kMoreLinesThanAreKept = 20'000;  // 8192 in the queue, and 64 KiB in the pipe.

// Goal: nobody waits for a log that nobody reads, and what is lost is told. Method: a pipe is not read, then it is.
TEST(Log, APipeThatNobodyReadsBlocksNobodyAndDropsAreTold) {
  const Pipe pipe;
  const auto logger = make_logger({.level = "info", .format = LogFormat::JsonLines}, pipe.fds[1]);
  ASSERT_TRUE(logger.has_value());
  for (int i = 0; i < kMoreLinesThanAreKept; ++i) {
    (*logger)->info("test.line", {{"number", i}, {"text", "some text that fills the pipe"}});
  }
  const std::uint64_t dropped = (*logger)->lines_dropped();
  EXPECT_GT(dropped, 0U);
  EXPECT_LT(dropped, std::uint64_t{kMoreLinesThanAreKept});
  std::string text;
  {
    std::jthread reader([&] { text = pipe.read_until("log.lines_dropped", std::size_t{64} << 20U); });
    (*logger)->info("test.afterwards", {});
  }
  EXPECT_NE(text.find("log.lines_dropped"), std::string::npos);
  EXPECT_TRUE(text.starts_with("{\"time\":")) << text.substr(0, 100);
}

TEST(Log, EndsAlthoughNobodyReads) {
  const Pipe pipe;
  const auto logger = make_logger({.level = "info", .format = LogFormat::Text}, pipe.fds[1]);
  ASSERT_TRUE(logger.has_value());
  for (int i = 0; i < kMoreLinesThanAreKept; ++i) {
    (*logger)->info("test.line", {{"text", std::string(100, 'x')}});
  }
}  // Returns, or the test's time limit ends it.

TEST(Log, CountsWhatAFullDiskRefuses) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  auto logger = make_logger({.level = "info", .format = LogFormat::Text}, full);
  ASSERT_TRUE(logger.has_value());
  for (int i = 0; i < 10; ++i) {
    (*logger)->info("test.line", {{"number", i}});
  }
  while ((*logger)->lines_dropped() < 10) {
    std::this_thread::yield();  // Its thread is at it.
  }
  logger->reset();
  ::close(full);
}

TEST(Log, LongLinesArriveWhole) {
  const Pipe pipe;
  const auto logger = make_logger({.level = "info", .format = LogFormat::JsonLines}, pipe.fds[1]);
  ASSERT_TRUE(logger.has_value());
  std::string text;
  std::jthread reader([&] { text = pipe.read_until("\"end\":true}\n", std::size_t{1} << 20U); });
  (*logger)->info("test.long", {{"text", std::string(1 << 20, '\x1b')}, {"end", true}});
  reader.join();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\x1b'), 0);
  EXPECT_LT(text.size(), 64U << 10U) << "a value is cut, not the line";
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
