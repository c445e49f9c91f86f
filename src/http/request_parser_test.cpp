#include "http/request_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/requests_for_test.hpp"

namespace jamsocket::http::testing {
namespace {

using namespace std::string_literals;

std::string get(const std::string& headers, const std::string& target = "/") {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

TEST(RequestParser, ReadsARequest) {
  const std::string bytes =
      "GET /ws/a%20b?x=1&y=/? HTTP/1.1\r\nHost: example.org:8080\r\nX-Y: \t z z \t\r\nx-y:2\r\nEmpty:\r\n\r\nrest";
  for (std::size_t read_bytes = 1; read_bytes <= bytes.size(); ++read_bytes) {
    const Parsed parsed = parse_in_pieces(bytes, read_bytes);
    ASSERT_EQ(parsed.status, ParseStatus::Complete) << parsed.reason;
    EXPECT_EQ(bytes.substr(parsed.consumed_bytes), "rest") << read_bytes;
    const Request& request = parsed.request;
    EXPECT_EQ(request.method, Method::Get);
    EXPECT_EQ(request.method_text, "GET");
    EXPECT_EQ(request.target, "/ws/a%20b?x=1&y=/?");
    EXPECT_EQ(request.path, "/ws/a%20b");
    EXPECT_EQ(request.query, "x=1&y=/?");
    EXPECT_EQ(request.authority, "example.org:8080");
    EXPECT_EQ(request.version_minor, 1);
    EXPECT_TRUE(request.keep_alive);
    EXPECT_FALSE(request.has_body);
    const std::vector<Header> headers = {{"Host", "example.org:8080"}, {"X-Y", "z z"}, {"x-y", "2"}, {"Empty", ""}};
    EXPECT_EQ(request.headers, headers);
    EXPECT_EQ(request.header("X-y"), "z z");
    EXPECT_EQ(request.header_count("X-Y"), 2U);
    EXPECT_EQ(request.header_joined("X-Y"), "z z, 2");
    EXPECT_FALSE(request.header("Nothing").has_value());
  }
}

struct Taken {
  const char* what;
  std::string bytes;
};

TEST(RequestParser, TakesWhatIsAllowed) {
  const std::vector<Taken> table = {
      {"every byte a value may have", get("X: \t!~\x80\xFF\r\n")},
      {"every sign a name may have", get("!#$%&'*+-.^_`|~09azAZ: x\r\n")},
      {"an empty line before (RFC 9112 2.2)", "\r\n" + get("")},
      {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"},
      {"an absolute target (RFC 9112 3.2.2)", get("", "http://other:80/a?b")},
      {"an absolute target without a path", get("", "HTTP://other")},
      {"Host with an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
      {"Host with an empty port", "GET / HTTP/1.1\r\nHost: h:\r\n\r\n"},
      {"slashes", get("", "//ws//x")},
      {"signs in the target", get("", "/$(id)|{{7*7}}^`\"<>';,")},
      {"any method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a long list of spaces", get("Sec-WebSocket-Protocol: b" + std::string(8000, ' ') + "x\r\n")},
      {"100-continue without a body", get("Expect: 100-continue\r\n")},
      {"Content-Length of 0", get("Content-Length: 0\r\n")},
  };
  for (const Taken& row : table) {
    for (const std::size_t read_bytes : {std::size_t{1}, std::size_t{7}, row.bytes.size() + 1}) {
      const Parsed parsed = parse_in_pieces(row.bytes, read_bytes);
      EXPECT_EQ(parsed.status, ParseStatus::Complete) << row.what << ": " << parsed.reason;
      EXPECT_EQ(parsed.consumed_bytes, row.bytes.size()) << row.what;
    }
  }
}

struct Refused {
  const char* what;
  std::string bytes;
  int http_status = 400;
};

const std::vector<Refused> kRefusedHeads = {
    {"HTTP/0.9", "GET /\r\n"},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n", 505},
    {"HTTP/0.9 by name", "GET / HTTP/0.9\r\n", 505},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n"},
    {"http in lower case", "GET / http/1.1\r\n"},
    {"no version", "GET / \r\n"},
    {"no target", "GET  HTTP/1.1\r\n"},
    {"two spaces", "GET  / HTTP/1.1\r\n"},
    {"space at the line's end", "GET / HTTP/1.1 \r\n"},
    {"tab between", "GET\t/ HTTP/1.1\r\n"},
    {"space first", " GET / HTTP/1.1\r\n"},
    {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n"},
    {"bare LF first", "\nGET / HTTP/1.1\r\n"},
    {"bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n"},
    {"bare LF after a header", "GET / HTTP/1.1\r\nHost: h\n\r\n"},
    {"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n"},
    {"CR without LF in the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n"},
    {"CR without LF in a value", get("X: a\rb\r\n")},
    {"CR CR LF", get("X: a\r\r\n")},
    {"CR without LF at the end", "GET / HTTP/1.1\r\nHost: h\r\n\rX"},
    {"NUL in a value", get("X: a\0b\r\n"s)},
    {"NUL in a name", get("X\0: a\r\n"s)},
    {"NUL in the target", get("", "/a\0b"s)},
    {"space before the colon", get("X : a\r\n")},
    {"tab before the colon", get("X\t: a\r\n")},
    {"space in a name", get("X Y: a\r\n")},
    {"no name", get(": a\r\n")},
    {"no colon", get("X\r\n")},
    {"folded header", get("X: a\r\n b\r\n")},
    {"folded with a tab", get("X: a\r\n\tb\r\n")},
    {"folded first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
    {"name above ASCII", get("X\x80: a\r\n")},
    {"name above ASCII, first", get("\xFFX: a\r\n")},
    {"escape in a value", get("X: \x1b[2J\r\n")},
    {"DEL in a value", get("X: \x7f\r\n")},
    {"target above ASCII", get("", "/caf\xC3\xA9")},
    {"DEL in the target", get("", "/\x7f")},
    {"fragment in the target", get("", "/ws/x#a")},
    {"authority-form", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 501},
    {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 501},
    {"authority-form of another method", get("", "h:80")},
    {"asterisk-form of another method", get("", "*")},
    {"relative target", get("", "ws/x")},
    {"target of another scheme", get("", "ftp://h/")},
    {"absolute target without a host", get("", "http:///ws/x")},
    {"absolute target with a user", get("", "http://me@h/ws/x")},
    {"TLS", "\x16\x03\x01\x02\x00\x01"s},
    {"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n"},
    {"zeros", std::string(100, '\0')},
    {"ones", std::string(100, '\xFF')},
    {"no Host", "GET / HTTP/1.1\r\n\r\n"},
    {"two Hosts", get("Host: h\r\n")},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: me@h\r\n\r\n"},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"},
    {"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {"Host list", "GET / HTTP/1.1\r\nHost: a:1,b:2\r\n\r\n"},
    {"Host with a bad port", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n"},
    {"Host with a word as port", "GET / HTTP/1.1\r\nHost: h:http\r\n\r\n"},
    {"Host with half an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {"Content-Length negative", get("Content-Length: -1\r\n")},
    {"Content-Length with a sign", get("Content-Length: +5\r\n")},
    {"Content-Length empty", get("Content-Length:\r\n")},
    {"Content-Length as a list", get("Content-Length: 5, 5\r\n")},
    {"Content-Length hexadecimal", get("Content-Length: 0x5\r\n")},
    {"Content-Length twice", get("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {"Content-Length two values", get("Content-Length: 5\r\nContent-Length: 6\r\n")},
    {"Content-Length of 2^64", get("Content-Length: 18446744073709551616\r\n")},
    {"Content-Length of 2^64 + 5", get("Content-Length: 18446744073709551621\r\n")},
    {"Content-Length beyond the limit", get("Content-Length: 65537\r\n"), 413},
    {"both", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {"both, the other way", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
    {"Transfer-Encoding twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {"Transfer-Encoding unknown", get("Transfer-Encoding: gzip\r\n"), 501},
    {"Transfer-Encoding list", get("Transfer-Encoding: gzip, chunked\r\n"), 501},
    {"Transfer-Encoding chunked twice", get("Transfer-Encoding: chunked, chunked\r\n"), 501},
    {"Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"expectation with a body", get("Expect: 100-continue\r\nContent-Length: 5\r\n"), 417},
    {"unknown expectation", get("Expect: coffee\r\n"), 417},
    {"method without end", std::string(3000, 'A'), 501},
};

TEST(RequestParser, RefusesWhatIsNotHoweverItIsCut) {
  for (const Refused& row : kRefusedHeads) {
    for (const std::size_t read_bytes : {std::size_t{1}, std::size_t{3}, row.bytes.size() + 1}) {
      const Parsed parsed = parse_in_pieces(row.bytes, read_bytes);
      ASSERT_EQ(parsed.status, ParseStatus::Failure) << row.what;
      EXPECT_EQ(parsed.http_status, row.http_status) << row.what << ": " << parsed.reason;
      EXPECT_TRUE(parsed.reason.ends_with('.')) << row.what;
    }
  }
}

std::string line_of(std::size_t bytes) {
  const std::string fixed = "GET / HTTP/1.1";
  return "GET /" + std::string(bytes - fixed.size(), 'a') + " HTTP/1.1\r\n";
}

TEST(RequestParser, LimitsTheRequestLine) {
  for (const std::size_t bytes : {2047U, 2048U}) {
    EXPECT_EQ(parse(line_of(bytes) + "Host: h\r\n\r\n").status, ParseStatus::Complete) << bytes;
  }
  EXPECT_EQ(parse(line_of(2049) + "Host: h\r\n\r\n").http_status, 414);
  EXPECT_EQ(parse("GET /" + std::string(std::size_t{1} << 20U, 'a')).http_status, 414);
}

// All header lines together take `bytes`, their line ends included.
std::string headers_of(std::size_t bytes) {
  const std::string fixed = "Host: h\r\nX: \r\n";
  return "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(bytes - fixed.size(), 'a') + "\r\n\r\n";
}

TEST(RequestParser, LimitsTheHeaders) {
  for (const std::size_t bytes : {8191U, 8192U}) {
    EXPECT_EQ(parse(headers_of(bytes)).status, ParseStatus::Complete) << bytes;
  }
  EXPECT_EQ(parse(headers_of(8193)).http_status, 431);
  EXPECT_EQ(parse(headers_of(std::size_t{64} << 10U)).http_status, 431);
  EXPECT_EQ(parse("GET / HTTP/1.1\r\n" + std::string(9000, 'n')).http_status, 431);
}

TEST(RequestParser, LimitsTheNumberOfHeaders) {
  const auto with_headers = [](int count) {
    std::string headers;
    for (int i = 1; i < count; ++i) {
      headers += "a:b\r\n";
    }
    return get(headers);
  };
  EXPECT_EQ(parse(with_headers(63)).status, ParseStatus::Complete);
  EXPECT_EQ(parse(with_headers(64)).status, ParseStatus::Complete);
  EXPECT_EQ(parse(with_headers(65)).http_status, 431);
  EXPECT_EQ(parse(with_headers(1000)).http_status, 431);
}

TEST(RequestParser, ReadsAndDropsABody) {
  const std::vector<std::string> bodies = {
      "POST /new_room HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
      "POST /new_room HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      ("POST /new_room HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
       "2;x=\"y\"\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: t\r\n\r\n"),
      "POST /new_room HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ("POST /new_room HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
       "00000005 \t; a=b ;c\r\nhello\r\n0\r\nTrailer:\r\nOther: t:u\r\n\r\n"),
  };
  for (const std::string& body : bodies) {
    const std::string bytes = body + get("X: second\r\n");
    for (std::size_t read_bytes = 1; read_bytes <= bytes.size(); ++read_bytes) {
      const Parsed parsed = parse_in_pieces(bytes, read_bytes);
      ASSERT_EQ(parsed.status, ParseStatus::Complete) << body << ": " << parsed.reason;
      EXPECT_EQ(parsed.consumed_bytes, body.size()) << body;
      EXPECT_EQ(parsed.request.method, Method::Post);
      EXPECT_TRUE(parsed.request.has_body);
      EXPECT_EQ(parsed.request.header_count("Trailer"), 0U);
    }
  }
}

TEST(RequestParser, SaysOnceThatTheBodyIsWaitedFor) {
  RequestParser parser({.body = RequestLimits::Body::Keep});
  EXPECT_EQ(parser.feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n").status,
            ParseStatus::NeedMore);
  EXPECT_FALSE(parser.is_in_body() || parser.take_expectation());
  EXPECT_EQ(parser.feed("\r\n").status, ParseStatus::NeedMore);
  EXPECT_TRUE(parser.is_in_body());
  EXPECT_EQ(parser.request().method, Method::Put);
  EXPECT_TRUE(parser.take_expectation());
  EXPECT_FALSE(parser.take_expectation());
  EXPECT_EQ(parser.feed("ab").status, ParseStatus::Complete);
  EXPECT_EQ(parser.request().body, "ab");
  EXPECT_FALSE(parser.is_in_body());

  RequestParser other({.body = RequestLimits::Body::Keep});
  EXPECT_EQ(other.feed("PUT / HTTP/1.1\r\nHost: h\r\nExpect: coffee\r\nContent-Length: 2\r\n\r\n").http_status, 417);
  EXPECT_FALSE(other.is_in_body());
  RequestParser old({.body = RequestLimits::Body::Keep});
  EXPECT_EQ(old.feed("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").status,
            ParseStatus::NeedMore);
  EXPECT_FALSE(old.take_expectation());  // HTTP/1.0 knows no such answer.
}

TEST(RequestParser, LimitsTheBody) {
  const std::string length = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n";
  EXPECT_EQ(parse(length + std::string(65536, 'x')).status, ParseStatus::Complete);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  EXPECT_EQ(parse(chunked + chunk + chunk + "0\r\n\r\n").status, ParseStatus::Complete);
  EXPECT_EQ(parse(chunked + chunk + chunk + "1\r\nx\r\n0\r\n\r\n").http_status, 413);
  EXPECT_EQ(parse(chunked + "FFFFFFFFFFFFFFFF\r\n").http_status, 413);
}

TEST(RequestParser, RefusesBadChunks) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::string> bodies = {"x\r\n",
                                           "-1\r\n",
                                           "5\r\nhelloX\r\n0\r\n\r\n",
                                           "10000000000000000\r\n",
                                           "\r\n",
                                           " 5\r\nhello\r\n0\r\n\r\n",
                                           "+5\r\nhello\r\n0\r\n\r\n",
                                           "0x5\r\nhello\r\n0\r\n\r\n",
                                           "5 \r\nhello\r\n0\r\n\r\n",
                                           "5\t\r\nhello\r\n0\r\n\r\n",
                                           "5 5\r\nhello\r\n0\r\n\r\n",
                                           "5,5\r\nhello\r\n0\r\n\r\n",
                                           "5\nhello\n0\n\n",
                                           "5\r\r\nhello\r\n0\r\n\r\n",
                                           "5;a=b\nhello\r\n0\r\n\r\n",
                                           "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
                                           "5\r\nhello\n0\r\n\r\n",
                                           "5\r\nhello0\r\n\r\n",
                                           "0\r\nGET / HTTP/1.1\r\n\r\n",
                                           "0\r\nX\r\n\r\n",
                                           "0\r\nX : y\r\n\r\n",
                                           "0\r\n X: y\r\n\r\n",
                                           "0\r\n: y\r\n\r\n",
                                           "0\r\nX: y\nZ: z\r\n\r\n",
                                           "0\r\nX: y\r\n folded\r\n\r\n",
                                           "0\r\n\n",
                                           "0\r\n\rX",
                                           "1;" + std::string(17'000, 'e'),
                                           "0\r\n" + std::string(17'000, 't')};
  for (const std::string& body : bodies) {
    for (const std::size_t read_bytes : {std::size_t{1}, std::size_t{100}, std::size_t{20'000}}) {
      const Parsed parsed = parse_in_pieces(head + body, read_bytes);
      ASSERT_EQ(parsed.status, ParseStatus::Failure) << body.substr(0, 50) << ' ' << read_bytes;
      EXPECT_TRUE(parsed.http_status == 400 || parsed.http_status == 413) << body.substr(0, 50);
    }
  }
}

TEST(RequestParser, ReadsPipelinedRequests) {
  RequestParser parser;
  EXPECT_FALSE(parser.has_begun());
  std::string bytes =
      get("", "/1") + get("", "/2") + "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab" + get("", "/4");
  for (const std::string path : {"/1", "/2", "/3", "/4"}) {
    const ParseStep step = parser.feed(bytes);
    ASSERT_EQ(step.status, ParseStatus::Complete) << path;
    EXPECT_TRUE(parser.has_begun());
    EXPECT_EQ(parser.request().path, path);
    bytes.erase(0, step.consumed_bytes);
    parser.reset();
    EXPECT_FALSE(parser.has_begun());
  }
  EXPECT_TRUE(bytes.empty());
}

TEST(RequestParser, KnowsWhetherTheConnectionIsKept) {
  struct Row {
    std::string bytes;
    bool keep_alive;
  };
  const std::vector<Row> table = {
      {get(""), true},
      {get("Connection: close\r\n"), false},
      {get("Connection: Upgrade, close\r\n"), false},
      {get("Connection: keep-alive\r\n"), true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n", true},
      // RFC 9112 section 9.3: "close" goes before all else.
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: Close\r\n\r\n", false},
      {get("Connection: keep-alive, close\r\n"), false},
      {get("Connection: closed\r\n"), true},
  };
  for (const Row& row : table) {
    EXPECT_EQ(parse(row.bytes).request.keep_alive, row.keep_alive) << row.bytes;
  }
}

// RFC 9112 section 3.2.2: the target's authority counts, not the Host header's.
TEST(RequestParser, TakesTheAuthorityOfAnAbsoluteTarget) {
  const Parsed parsed = parse(get("", "http://other:81?q"));
  EXPECT_EQ(parsed.request.authority, "other:81");
  EXPECT_EQ(parsed.request.path, "/");
  EXPECT_EQ(parsed.request.query, "q");
}

// An answer to HEAD has no body, whatever it says.
TEST(RequestParser, KnowsTheMethodOfWhatItRefuses) {
  const std::vector<std::string> refused = {
      "HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",          "\r\nHEAD /\x01",
      "HEAD  / HTTP/1.1\r\n",    "HEAD / HTTP/1.1\r\nHost: h\r\nExpect: coffee\r\n\r\n",
  };
  for (const std::string& bytes : refused) {
    for (const std::size_t read_bytes : {std::size_t{1}, bytes.size()}) {
      const Parsed parsed = parse_in_pieces(bytes, read_bytes);
      ASSERT_EQ(parsed.status, ParseStatus::Failure) << bytes;
      EXPECT_EQ(parsed.request.method, Method::Head) << bytes;
    }
  }
  EXPECT_EQ(parse("HEADS / HTTP/3.1\r\n").request.method, Method::Other);
  EXPECT_EQ(parse("HEA\x01").request.method, Method::Other);
}

TEST(RequestParser, KnowsMethodsByTheirExactNames) {
  const auto method_of = [](const std::string& name) {
    return parse(name + " / HTTP/1.1\r\nHost: h\r\n\r\n").request.method;
  };
  EXPECT_EQ(method_of("GET"), Method::Get);
  EXPECT_EQ(method_of("HEAD"), Method::Head);
  EXPECT_EQ(method_of("POST"), Method::Post);
  EXPECT_EQ(method_of("PUT"), Method::Put);
  EXPECT_EQ(method_of("DELETE"), Method::Delete);
  EXPECT_EQ(method_of("OPTIONS"), Method::Options);
  EXPECT_EQ(method_of("PATCH"), Method::Patch);
  EXPECT_EQ(method_of("TRACE"), Method::Trace);
  EXPECT_EQ(method_of("get"), Method::Other);
  EXPECT_EQ(method_of("GETT"), Method::Other);
}

}  // namespace
}  // namespace jamsocket::http::testing
