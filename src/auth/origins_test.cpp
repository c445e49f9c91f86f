#include "auth/origins.hpp"

#include <gtest/gtest.h>

namespace jamsocket::auth {
namespace {

OriginRules rules(const std::vector<std::string>& entries) { return OriginRules::parse(entries).value(); }

TEST(OriginRules, TheDefaultIsTheHostThatWasAsked) {
  const OriginRules same;
  EXPECT_TRUE(same.allows("http://localhost:8080", "localhost:8080"));
  EXPECT_TRUE(same.allows("http://localhost:8080", "LOCALHOST:8080"));
  EXPECT_TRUE(same.allows("https://a.example", "a.example"));
  EXPECT_TRUE(same.allows("https://a.example", "a.example:443"));
  EXPECT_TRUE(same.allows("http://a.example:80", "a.example"));
  EXPECT_TRUE(same.allows("http://[::1]:8080", "[::1]:8080"));
  EXPECT_FALSE(same.allows("http://localhost:8081", "localhost:8080"));
  EXPECT_FALSE(same.allows("http://localhost", "localhost:8080"));
  EXPECT_FALSE(same.allows("https://a.example", "a.example:80"));
  EXPECT_FALSE(same.allows("http://b.example", "a.example"));
}

// H-25: what looks like an allowed origin and is none.
TEST(OriginRules, AnEntryMatchesExactly) {
  const OriginRules good = rules({"https://good.com"});
  EXPECT_TRUE(good.allows("https://good.com", "server"));
  EXPECT_TRUE(good.allows("https://good.com:443", "server"));
  for (const char* other : {"https://evil.com",
                            "null",
                            "",
                            "https://good.com.evil.com",
                            "https://evilgood.com",
                            "https://good.com:444",
                            "http://good.com",
                            "https://GOOD.com",
                            "HTTPS://good.com",
                            "https://good.com.",
                            "https://good.com/",
                            "https://xn--good-0ra.com",
                            "https://g\xc3\xb6od.com",
                            "https://user@good.com",
                            "https://good.com:0443",
                            "https://good.com:",
                            "https://sub.good.com",
                            "https://good.com https://good.com",
                            "good.com",
                            "https://good.com\t",
                            "server"}) {
    EXPECT_FALSE(good.allows(other, "server")) << other;
  }
  EXPECT_FALSE(good.allows("https://server", "server")) << "\"same\" is no longer in force";
}

TEST(OriginRules, AWildcardIsWholeLabelsOnly) {
  const OriginRules all = rules({"https://*.example.com", "http://*.test.org:8080"});
  EXPECT_TRUE(all.allows("https://a.example.com", "x"));
  EXPECT_TRUE(all.allows("https://a.b.example.com", "x"));
  EXPECT_TRUE(all.allows("http://a.test.org:8080", "x"));
  for (const char* other :
       {"https://example.com", "https://evilexample.com", "http://a.example.com", "https://a.example.com:8443",
        "https://.example.com", "https://a.example.com.evil.org", "https://a..example.com", "http://a.test.org"}) {
    EXPECT_FALSE(all.allows(other, "x")) << other;
  }
}

TEST(OriginRules, AnyIsEvenNoOrigin) {
  const OriginRules any = rules({"any"});
  EXPECT_TRUE(any.allows("null", "x"));
  EXPECT_TRUE(any.allows("https://evil.com", "x"));
}

TEST(OriginRules, AListWithSameHasBoth) {
  const OriginRules both = rules({"same", "https://good.com"});
  EXPECT_TRUE(both.allows("https://good.com", "server"));
  EXPECT_TRUE(both.allows("http://server", "server"));
}

TEST(OriginRules, RefusesEntriesThatWouldNeverMatchOrTooMuch) {
  for (const char* entry : {"", "*", "example.com", "https://", "https://Example.com", "https://example.com/",
                            "https://*.com", "https://*example.com", "https://a.*.com", "https://*.[::1]", "null",
                            "ftp://a.example", "https://a.example:0", "https://a.example:70000"}) {
    EXPECT_FALSE(is_origin_entry(entry)) << entry;
    EXPECT_FALSE(OriginRules::parse({entry}).has_value()) << entry;
  }
}

// H-10: a name that somebody else points at this machine.
TEST(HostRules, HoldsTheNameThatWasAskedFor) {
  EXPECT_TRUE(HostRules().allows("anything:1"));
  const HostRules hosts = HostRules::parse({"rooms.example.com", "127.0.0.1", "[::1]", "*.example.org"}).value();
  EXPECT_TRUE(hosts.allows("rooms.example.com"));
  EXPECT_TRUE(hosts.allows("Rooms.Example.com:8080"));
  EXPECT_TRUE(hosts.allows("127.0.0.1:8080"));
  EXPECT_TRUE(hosts.allows("[::1]:8080"));
  EXPECT_TRUE(hosts.allows("a.example.org"));
  for (const char* other : {"evil.example", "rooms.example.com.", "rooms.example.com.evil.example", "example.org",
                            "xexample.org", ".example.org", "", ":8080", "127.0.0.2"}) {
    EXPECT_FALSE(hosts.allows(other)) << other;
  }
  EXPECT_FALSE(is_host_entry("example.com:80"));
  EXPECT_FALSE(is_host_entry("*.com"));
  EXPECT_FALSE(is_host_entry(""));
}

}  // namespace
}  // namespace jamsocket::auth
