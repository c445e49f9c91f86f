#include "config/patterns.hpp"

#include <gtest/gtest.h>

#include <array>

namespace jamsocket::config {
namespace {

TEST(Patterns, RoomStrategiesAreTheOriginalsAndNoOthers) {
  for (const auto* good : {"implicit", "api", "uuid", "short", "short3", "short4", "short9", "short10", "short12"}) {
    EXPECT_TRUE(is_room_strategy(good)) << good;
  }
  for (const auto* bad : {"", "Implicit", "short2", "short13", "short03", "short 4", "short-4", "short4 ", "shorter",
                          "short3.5", "short99999999999999999999", "uuid4"}) {
    EXPECT_FALSE(is_room_strategy(bad)) << bad;
  }
}

TEST(Patterns, ShutdownPoliciesAreTheOriginalsAndNoOthers) {
  for (const auto* good : {"never", "immediate", "0sec", "1sec", "300sec", "999999999sec"}) {
    EXPECT_TRUE(is_shutdown_policy(good)) << good;
  }
  for (const auto* bad : {"", "sec", "0.5sec", "10", "Immediate", "Never", "-1sec", "+1sec", "1 sec", "1s", "10sec ",
                          "1e3sec", "1000000000sec"}) {
    EXPECT_FALSE(is_shutdown_policy(bad)) << bad;
  }
}

TEST(Patterns, HostsAreAddressesAndNames) {
  for (const auto* good : {"127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1%eth0", "localhost", "a-b.example"}) {
    EXPECT_TRUE(is_host(good)) << good;
  }
  for (const auto* bad :
       {"", " ", "local host", "http://x", "[::1]", "x/y", "h\xC3\xA9", "a\n", "localhost:80", "127.0.0.1:80"}) {
    EXPECT_FALSE(is_host(bad)) << bad;
  }
  EXPECT_TRUE(is_host(std::string(253, 'a')));
  EXPECT_FALSE(is_host(std::string(254, 'a')));
}

TEST(Patterns, WholeNumbersAreDigitsUpTo64Bits) {
  EXPECT_EQ(parse_whole_number("0"), 0U);
  EXPECT_EQ(parse_whole_number("18446744073709551615"), UINT64_MAX);
  for (const auto* bad : {"", "18446744073709551616", "-1", "+1", "1.0", "1e9", " 1", "1 ", "0x10", "1_000"}) {
    EXPECT_FALSE(parse_whole_number(bad)) << bad;
  }
}

TEST(Patterns, SizesTakeAUnitWithoutASpace) {
  EXPECT_EQ(parse_size("1000"), 1000U);
  EXPECT_EQ(parse_size("1000B"), 1000U);
  EXPECT_EQ(parse_size("64KiB"), 65'536U);
  EXPECT_EQ(parse_size("64MiB"), 67'108'864U);
  EXPECT_EQ(parse_size("17179869183GiB"), UINT64_MAX - (std::uint64_t{1} << 30U) + 1);
  for (const auto* bad : {"", "64 MiB", "64MB", "64mib", "MiB", "17179869184GiB", "-1KiB", "1.5GiB", "64M", "1KiBB"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(Patterns, SizesAreWrittenInTheLargestUnitThatDivides) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1023}, std::uint64_t{1024},
                                    std::uint64_t{1} << 20U, std::uint64_t{3} << 30U, UINT64_MAX}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
  }
  EXPECT_EQ(format_size(65'536), "64KiB");
  EXPECT_EQ(format_size(1025), "1025B");
}

TEST(Patterns, HeaderNamesAreTokens) {
  EXPECT_TRUE(is_header_name("accept-language"));
  for (const auto* bad : {"", "a b", "a:", "a\r\nb", "\xC3\xA9"}) {
    EXPECT_FALSE(is_header_name(bad)) << bad;
  }
}

TEST(Patterns, PlacesProxiesAndModes) {
  EXPECT_TRUE(is_endpoint("[::1]:80") && is_endpoint("unix:/run/x.sock"));
  EXPECT_FALSE(is_endpoint("::1:80") || is_endpoint("unix:x.sock"));
  EXPECT_TRUE(is_proxy("unix") && is_proxy("10.0.0.0/8") && is_proxy("::1"));
  EXPECT_FALSE(is_proxy("10.0.0.1/8") || is_proxy("proxy.example") || is_proxy(""));
  for (const std::string_view good : {"0600", "0660", "0777"}) {
    EXPECT_TRUE(is_file_mode(good)) << good;
  }
  for (const std::string_view bad : {"", "600", "0500", "0888", "1777", "06600", "-660"}) {
    EXPECT_FALSE(is_file_mode(bad)) << bad;
  }
  EXPECT_TRUE(is_loopback("127.0.0.2") && is_loopback("::1") && is_loopback("localhost"));
  EXPECT_FALSE(is_loopback("127.evil.example") || is_loopback("127.0.0.1.") || is_loopback("127.1"));
  EXPECT_FALSE(is_loopback("0.0.0.0") || is_loopback("192.0.2.1") || is_loopback("::"));
}

TEST(Patterns, HistoryIsATimeOrASize) {
  EXPECT_EQ(parse_history("7d")->age_max, std::chrono::hours{168});
  EXPECT_EQ(parse_history("12h")->age_max, std::chrono::hours{12});
  EXPECT_EQ(parse_history("1GiB")->bytes_max, std::uint64_t{1} << 30U);
  EXPECT_TRUE(parse_history("all")->all);
  EXPECT_FALSE(parse_history("none")->all);
  for (const char* wrong :
       {"", "d", "0d", "-1d", "7", "7 d", "7days", "99999999999999999999d", "0B", "1.5GiB", "ever"}) {
    EXPECT_FALSE(parse_history(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace jamsocket::config
