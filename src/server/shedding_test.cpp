// What tells and logs that a limit was reached: MemoryWatch, LimitLog; and the settings of proxies.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/limit_log.hpp"
#include "server/memory_watch.hpp"
#include "server/settings.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;
using Level = MemoryWatch::Level;

constexpr SteadyTime kStart{1000s};

TEST(MemoryWatch, AMarkThatWasPassedCountsUntilThereIsClearlyLess) {
  std::uint64_t bytes = 0;
  MemoryWatch watch({.high_bytes = 1000, .critical_bytes = 2000}, [&] { return bytes; });
  const auto level_at = [&](std::uint64_t now) {
    bytes = now;
    return watch.look();
  };
  EXPECT_EQ(level_at(0), Level::Calm) << "the system does not say";
  EXPECT_EQ(level_at(999), Level::Calm);
  EXPECT_EQ(level_at(1000), Level::High);
  EXPECT_EQ(level_at(951), Level::High);
  EXPECT_EQ(level_at(949), Level::Calm);
  EXPECT_EQ(level_at(999), Level::Calm);
  EXPECT_EQ(level_at(2000), Level::Critical);
  EXPECT_EQ(level_at(1901), Level::Critical);
  EXPECT_EQ(level_at(1899), Level::High);
  EXPECT_EQ(watch.level(), Level::High);
}

TEST(MemoryWatch, EitherMarkAlone) {
  MemoryWatch high({.high_bytes = 1000}, [] { return std::uint64_t{5000}; });
  EXPECT_EQ(high.look(), Level::High);
  MemoryWatch critical({.critical_bytes = 1000}, [] { return std::uint64_t{999}; });
  EXPECT_EQ(critical.look(), Level::Calm);
  EXPECT_FALSE(MemoryWatch({}, [] { return std::uint64_t{1} << 40U; }).is_on());
}

class RememberingLogger final : public Logger {
 public:
  [[nodiscard]] bool enabled(LogLevel /*level*/) const override { return true; }
  void write(LogLevel /*level*/, std::string_view name, std::span<const LogField> fields) override {
    std::string line(name);
    for (const LogField& field : fields) {
      line += ' ';
      line += field.key;
      line += '=';
      if (const auto* text = std::get_if<std::string_view>(&field.value)) {
        line += *text;
      } else if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
        line += std::to_string(*number);
      }
    }
    lines.push_back(std::move(line));
  }
  void set_threshold(LogThreshold /*threshold*/) override {}
  [[nodiscard]] LogThreshold threshold() const override { return LogThreshold::Debug; }

  std::vector<std::string> lines;
};

TEST(LimitLog, SaysEachLimitOnceASecondAndHowOftenItWasHit) {
  RememberingLogger logger;
  LimitLog log(logger);
  for (int i = 0; i < 10; ++i) {
    log.hit(Counter::LimitConnectionRate, "192.0.2.1", kStart + i * 100ms);
  }
  log.hit(Counter::LimitMemoryHigh, "", kStart);
  log.hit(Counter::LimitConnectionRate, "192.0.2.2", kStart + 1s);
  const std::string limit = "limit.hit limit=connections_per_address_per_second_max address=";
  EXPECT_EQ(logger.lines,
            (std::vector<std::string>{limit + "192.0.2.1 times=1", "limit.hit limit=memory_high_bytes address= times=1",
                                      limit + "192.0.2.2 times=10"}));
}

TEST(ProxySettings, TrustsWhatIsNamed) {
  ServerOptions options;
  options.proxies_trusted = {"10.0.0.0/8", "2001:db8::1"};
  options.forwarded_header = "forwarded";
  const auto settings = Settings::from(options);
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_TRUE(settings->proxies.trusts(*IpAddress::parse("10.1.2.3")));
  EXPECT_TRUE(settings->proxies.trusts(*IpAddress::parse("2001:db8::1")));
  EXPECT_FALSE(settings->proxies.trusts(*IpAddress::parse("11.0.0.1")));
  EXPECT_FALSE(settings->proxies.trusts_unix);
}

TEST(ProxySettings, RefusesWhatCannotBe) {
  const auto refusal = [](const std::vector<std::string>& trusted, const std::string& protocol,
                          const std::string& header) {
    ServerOptions options;
    options.proxies_trusted = trusted;
    options.proxy_protocol = protocol;
    options.forwarded_header = header;
    const auto settings = Settings::from(options);
    return settings ? std::string() : settings.error().message;
  };
  EXPECT_EQ(refusal({"unix"}, "required", "off"), "");
  EXPECT_NE(refusal({}, "required", "off"), "");
  EXPECT_NE(refusal({}, "off", "forwarded"), "");
  EXPECT_NE(refusal({"unix"}, "required", "forwarded"), "");
  EXPECT_NE(refusal({"10.0.0.1/8"}, "off", "off"), "");
  EXPECT_NE(refusal({"unix"}, "on", "off"), "");
  EXPECT_NE(refusal({"unix"}, "off", "via"), "");
}

}  // namespace
}  // namespace jamsocket::server
