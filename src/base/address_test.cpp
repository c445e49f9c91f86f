#include "base/address.hpp"

#include <gtest/gtest.h>

#include <array>

namespace jamsocket {
namespace {

std::string round_trip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->text() : "none";
}

TEST(IpAddress, IsReadAndShown) {
  EXPECT_EQ(round_trip("203.0.113.7"), "203.0.113.7");
  EXPECT_EQ(round_trip("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
  EXPECT_EQ(round_trip("::ffff:203.0.113.7"), "203.0.113.7") << "one client, whatever socket it came by";
  EXPECT_EQ(IpAddress().text(), "");
  EXPECT_FALSE(IpAddress().is_known());
}

TEST(IpAddress, IsNothingElse) {
  constexpr std::array<std::string_view, 13> kBad{
      "",      "1.2.3",        "1.2.3.4.5", "999.1.1.1",  "01.2.3.4",      "1.2.3.4 ", "1.2.3.4:80",
      "[::1]", "fe80::1%eth0", "localhost", "0x7f.0.0.1", "1:2:3:4:5:6:7", ":::"};
  for (const std::string_view text : kBad) {
    EXPECT_EQ(round_trip(text), "none") << text;
  }
  EXPECT_EQ(round_trip(std::string_view("1.2.3.4\0x", 9)), "none");
}

TEST(IpAddress, AClientIsAnIpv4AddressOrA64OfIpv6) {
  EXPECT_EQ(IpAddress::parse("203.0.113.7")->subscriber().text(), "203.0.113.7");
  EXPECT_EQ(IpAddress::parse("2001:db8:1:2:3:4:5:6")->subscriber().text(), "2001:db8:1:2::");
  EXPECT_EQ(IpAddress::parse("2001:db8:1:2::9")->subscriber(), IpAddress::parse("2001:db8:1:2:3:4:5:6")->subscriber());
  EXPECT_NE(IpAddress::parse("2001:db8:1:3::9")->subscriber(), IpAddress::parse("2001:db8:1:2::9")->subscriber());
}

TEST(IpAddress, PrefixesEndAtAnyBit) {
  const IpAddress address = *IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_EQ(address.prefix(0).text(), "::");
  EXPECT_EQ(address.prefix(1).text(), "8000::");
  EXPECT_EQ(address.prefix(9).text(), "ff80::");
  EXPECT_EQ(address.prefix(127).text(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
  EXPECT_EQ(address.prefix(128), address);
}

struct Membership {
  std::string_view network;
  std::string_view inside;
  std::string_view outside;
};

TEST(IpNetwork, ContainsWhatBeginsAlike) {
  constexpr std::array<Membership, 8> kCases{{{"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
                                              {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
                                              {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
                                              {"192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.8"},
                                              {"0.0.0.0/0", "203.0.113.7", "2001:db8::1"},
                                              {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
                                              {"::/0", "203.0.113.7", ""},
                                              {"::1", "::1", "::2"}}};
  for (const Membership& c : kCases) {
    const auto network = IpNetwork::parse(c.network);
    ASSERT_TRUE(network) << c.network;
    EXPECT_TRUE(network->contains(*IpAddress::parse(c.inside))) << c.network;
    EXPECT_FALSE(network->contains(IpAddress::parse(c.outside).value_or(IpAddress()))) << c.network;
  }
}

TEST(IpNetwork, RefusesWhatIsNone) {
  for (const std::string_view text : {"10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08",
                                      "10.0.0.0/8/8", "/8", "unix", "10.0.0.0/4294967304", "2001:db8::1/64"}) {
    EXPECT_FALSE(IpNetwork::parse(text)) << text;
  }
}

}  // namespace
}  // namespace jamsocket
