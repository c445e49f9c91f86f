#include "http/conditional.hpp"

#include <gtest/gtest.h>
#include <array>

#include <limits>
#include <string>
#include <vector>

#include "http/content_coding.hpp"
#include "http/content_type.hpp"

namespace jamsocket::http {
namespace {

constexpr std::int64_t kModified = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
const Validators kCurrent{.etag = "\"abc\"", .modified_unix_s = kModified};

Request get(std::vector<Header> headers) {
  Request request;
  request.method = Method::Get;
  request.headers = std::move(headers);
  return request;
}

// RFC 9110 section 5.6.7: all three forms of one date.
TEST(ParseHttpDate, ReadsTheThreeForms) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), kModified);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), kModified);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kModified);
  EXPECT_EQ(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
}

TEST(ParseHttpDate, IgnoresGarbage) {
  for (const auto* text :
       {"", ",", "garbage", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 31 Feb 1994 00:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999999999 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", " GMT", ", GMT", "Sun Nov  6 08:49:37"}) {
    EXPECT_FALSE(parse_http_date(text).has_value()) << text;
  }
}

TEST(EvaluatePreconditions, FollowsTheirOrder) {
  struct Row {
    std::vector<Header> headers;
    Precondition expected;
  };
  const std::string earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
  const std::string same = "Sun, 06 Nov 1994 08:49:37 GMT";
  const std::vector<Row> table = {
      {{}, Precondition::Go},
      {{{"If-None-Match", "\"abc\""}}, Precondition::NotModified},
      {{{"If-None-Match", "W/\"abc\""}}, Precondition::NotModified},
      {{{"If-None-Match", "*"}}, Precondition::NotModified},
      {{{"If-None-Match", "\"x\", \"y,z\" , \"abc\""}}, Precondition::NotModified},
      {{{"If-None-Match", "\"x\""}, {"If-None-Match", "\"abc\""}}, Precondition::NotModified},
      {{{"If-None-Match", "\"ab\""}}, Precondition::Go},
      {{{"If-None-Match", "abc"}}, Precondition::Go},
      {{{"If-None-Match", "\"abc"}}, Precondition::Go},
      {{{"If-None-Match", ""}}, Precondition::Go},
      {{{"If-None-Match", "\"x\""}, {"If-Modified-Since", same}}, Precondition::Go},
      {{{"If-Modified-Since", same}}, Precondition::NotModified},
      {{{"If-Modified-Since", earlier}}, Precondition::Go},
      {{{"If-Modified-Since", "yesterday"}}, Precondition::Go},
      {{{"If-Match", "\"abc\""}}, Precondition::Go},
      {{{"If-Match", "*"}}, Precondition::Go},
      {{{"If-Match", "W/\"abc\""}}, Precondition::Failed},
      {{{"If-Match", "\"x\""}}, Precondition::Failed},
      {{{"If-Unmodified-Since", same}}, Precondition::Go},
      {{{"If-Unmodified-Since", earlier}}, Precondition::Failed},
      {{{"If-Match", "\"abc\""}, {"If-Unmodified-Since", earlier}}, Precondition::Go},
      {{{"If-Match", "\"abc\""}, {"If-None-Match", "\"abc\""}}, Precondition::NotModified},
  };
  for (std::size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(evaluate_preconditions(get(table[i].headers), kCurrent), table[i].expected) << "row " << i;
  }
}

TEST(EvaluateRange, FindsTheOnePart) {
  using Kind = RangeRequest::Kind;
  struct Row {
    std::string range;
    RangeRequest expected;
  };
  const std::vector<Row> table = {
      {"bytes=0-0", {Kind::Part, 0, 1}},
      {"bytes=0-", {Kind::Part, 0, 100}},
      {"bytes=10-19", {Kind::Part, 10, 10}},
      {"bytes=99-", {Kind::Part, 99, 1}},
      {"bytes=90-1000", {Kind::Part, 90, 10}},
      {"bytes=-1", {Kind::Part, 99, 1}},
      {"bytes=-1000", {Kind::Part, 0, 100}},
      {"bytes=0-18446744073709551615", {Kind::Part, 0, 100}},
      {"bytes=100-", {Kind::Unsatisfiable}},
      {"bytes=18446744073709551615-", {Kind::Unsatisfiable}},
      {"bytes=-0", {Kind::Unsatisfiable}},
      {"bytes=0-0,5-6", {}},
      {"bytes=5-4", {}},
      {"bytes=", {}},
      {"bytes=-", {}},
      {"bytes=--1", {}},
      {"bytes=a-b", {}},
      {"bytes=1-b", {}},
      {"bytes=+1-2", {}},
      {"bytes=18446744073709551616-", {Kind::Unsatisfiable}},
      {"bytes=7-99999999999999999999999", {Kind::Part, 7, 93}},
      {"bytes=-99999999999999999999999", {Kind::Part, 0, 100}},
      {"Bytes=1-2", {Kind::Part, 1, 2}},
      {"bytes=0-0,", {}},
      {"lines=0-1", {}},
      {"0-1", {}},
  };
  for (const Row& row : table) {
    EXPECT_EQ(evaluate_range(get({{"Range", row.range}}), kCurrent, 100), row.expected) << row.range;
  }
  EXPECT_EQ(evaluate_range(get({}), kCurrent, 100), RangeRequest{});
  EXPECT_EQ(evaluate_range(get({{"Range", "bytes=0-"}}), kCurrent, 0).kind, Kind::Unsatisfiable);
}

TEST(EvaluateRange, HoldsOnlyForTheVersionThatTheClientHas) {
  const auto kind = [](const std::string& condition) {
    return evaluate_range(get({{"Range", "bytes=0-0"}, {"If-Range", condition}}), kCurrent, 100).kind;
  };
  EXPECT_EQ(kind("\"abc\""), RangeRequest::Kind::Part);
  EXPECT_EQ(kind("\"old\""), RangeRequest::Kind::Whole);
  EXPECT_EQ(kind("W/\"abc\""), RangeRequest::Kind::Whole);
  EXPECT_EQ(kind("Sun, 06 Nov 1994 08:49:37 GMT"), RangeRequest::Kind::Whole);
  Request head = get({{"Range", "bytes=0-0"}});
  head.method = Method::Head;
  EXPECT_EQ(evaluate_range(head, kCurrent, 100).kind, RangeRequest::Kind::Whole);
}

TEST(PreferredCoding, IsTheOneOfTheHighestWeight) {
  constexpr std::array<std::string_view, 2> kBoth{"br", "gzip"};
  const auto preferred = [&](const std::string& value) {
    return std::string(preferred_coding(get({{"Accept-Encoding", value}}), kBoth));
  };
  EXPECT_EQ(preferred_coding(get({}), kBoth), "");
  struct Row {
    std::string accepted;
    std::string coding;
  };
  const std::vector<Row> table = {
      {"", ""},
      {"gzip, deflate, br", "br"},  // Equals: the first of ours.
      {"BR", "br"},
      {"gzip", "gzip"},
      {"x-gzip", "gzip"},
      {"deflate, zstd", ""},
      {"br;q=0.1", "br"},
      {"br;q=0.1, gzip", "gzip"},
      {"br;q=0.499 , gzip ; q=0.5", "gzip"},
      {"br;q=0.50, gzip;q=0.5", "br"},
      {"br;q=1.000, gzip;Q=1", "br"},
      {"br;q=0", ""},
      {"br; q=0.000, gzip;q=0.001", "gzip"},
      {"*", "br"},
      {"*;q=0", ""},
      {"*, br;q=0", "gzip"},
      {"*;q=0.2, gzip;q=0.3", "gzip"},
      {"gzip;q=0.5, identity", ""},
      {"gzip;q=0.5, identity;q=0.4", "gzip"},
      {"gzip, identity", "gzip"},
      {"identity;q=0", ""},  // Nothing is left, and a plain answer is better than none.
      {"identity;q=0, gzip", "gzip"},
      {"gzip;level=9;q=0.2, br;q=0.1", "gzip"},
      {"gzip;q=no, br;q=0.9", "gzip"},  // What is no weight counts as none given.
  };
  for (const Row& row : table) {
    EXPECT_EQ(preferred(row.accepted), row.coding) << row.accepted;
  }
  constexpr std::array<std::string_view, 1> kGzip{"gzip"};
  EXPECT_EQ(preferred_coding(get({{"Accept-Encoding", "br, gzip;q=0.1"}}), kGzip), "gzip");
}

TEST(ContentType, IsKnownByTheEnding) {
  EXPECT_EQ(content_type_of("/index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("a/b.min.JS"), "text/javascript; charset=utf-8");
  EXPECT_EQ(content_type_of("service.wasm"), "application/wasm");
  EXPECT_EQ(content_type_of("/a.html/file"), "application/octet-stream");
  EXPECT_EQ(content_type_of("file"), "application/octet-stream");
  EXPECT_EQ(content_type_of("file."), "application/octet-stream");
  EXPECT_EQ(content_type_of(""), "application/octet-stream");
}

}  // namespace
}  // namespace jamsocket::http
