#include "http/forwarded.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace jamsocket::http {
namespace {

constexpr auto kXff = ForwardedHeader::XForwardedFor;
constexpr auto kForwarded = ForwardedHeader::Forwarded;

// The client's address, "unsaid" or "garbage"; 10.0.0.0/8 is ours.
std::string client_of(ForwardedHeader header, std::string_view value) {
  const IpNetwork ours = *IpNetwork::parse("10.0.0.0/8");
  const ForwardedFor found = forwarded_for(header, value, [&](const IpAddress& a) { return ours.contains(a); });
  switch (found.status) {
    case ForwardedFor::Status::Known:
      return found.client.text();
    case ForwardedFor::Status::Unsaid:
      return "unsaid";
    default:
      return "garbage";
  }
}

struct Case {
  ForwardedHeader header;
  std::string_view value;
  std::string_view client;
};

TEST(Forwarded, TheLastAddressThatIsNotOursCounts) {
  constexpr std::array kCases{
      Case{kXff, "203.0.113.7", "203.0.113.7"},
      Case{kXff, "127.0.0.1, 203.0.113.7", "203.0.113.7"},
      Case{kXff, "127.0.0.1, 203.0.113.7, 10.0.0.2,10.0.0.1", "203.0.113.7"},
      Case{kXff, "10.0.0.3, 10.0.0.2", "10.0.0.3"},
      Case{kXff, "<script>, 203.0.113.7", "203.0.113.7"},
      Case{kXff, "203.0.113.7:4711", "203.0.113.7"},
      Case{kXff, "[2001:db8::1]:4711", "2001:db8::1"},
      Case{kXff, "2001:db8::1", "2001:db8::1"},
      Case{kXff, "203.0.113.7, ,", "203.0.113.7"},
      Case{kXff, "", "unsaid"},
      Case{kXff, " , ", "unsaid"},
      Case{kXff, "203.0.113.7, unknown", "unsaid"},
      Case{kForwarded, "for=203.0.113.7", "203.0.113.7"},
      Case{kForwarded, "For=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.1", "2001:db8::1"},
      Case{kForwarded, "for=127.0.0.1, for=203.0.113.7;proto=http, for=10.0.0.2", "203.0.113.7"},
      Case{kForwarded, "for=\"unclosed, for=203.0.113.7", "203.0.113.7"},
      Case{kForwarded, "for=_hidden", "unsaid"},
      Case{kForwarded, "for=UNKNOWN", "unsaid"},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(client_of(c.header, c.value), c.client) << c.value;
  }
}

TEST(Forwarded, WhatCountsMustBeAnAddress) {
  constexpr std::array kCases{
      Case{kXff, "203.0.113.7, <script>", ""},
      Case{kXff, "fe80::1%eth0", ""},
      Case{kXff, "203.0.113.7:port", ""},
      Case{kXff, "[203.0.113.7]", ""},
      Case{kXff, "[2001:db8::1", ""},
      Case{kXff, "999.1.1.1", ""},
      Case{kXff, "203.0.113.7:123456", ""},
      Case{kXff, "for=203.0.113.7", ""},
      Case{kForwarded, "203.0.113.7", ""},
      Case{kForwarded, "proto=https", ""},
      Case{kForwarded, "for=2001:db8::1", ""},
      Case{kForwarded, "for=1.2.3.4;for=5.6.7.8", ""},
      Case{kForwarded, "for=", ""},
      Case{kForwarded, "for=\"1.2.3.4", ""},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(client_of(c.header, c.value), "garbage") << c.value;
  }
}

TEST(Forwarded, TenThousandEntriesAreLookedAtFromTheBack) {
  std::string value;
  for (int i = 0; i < 10'000; ++i) {
    value += "198.51.100.1, ";
  }
  EXPECT_EQ(client_of(kXff, value + "203.0.113.7"), "203.0.113.7");
}

}  // namespace
}  // namespace jamsocket::http
