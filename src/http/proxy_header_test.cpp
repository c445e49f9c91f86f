#include "http/proxy_header.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace jamsocket::http {
namespace {

using namespace std::string_literals;

constexpr std::size_t kBytesMax = 4096;
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kV4Block =
    "\xCB\x00\x71\x07\xC0\x00\x02\x01\xDC\x04\x01\xBB"s;  // 203.0.113.7:56324 to 192.0.2.1:443.

std::string v2(char version_and_command, char family, const std::string& rest) {
  return kSignature + version_and_command + family + static_cast<char>(rest.size() >> 8U) +
         static_cast<char>(rest.size() & 0xFFU) + rest;
}

std::string v2_tcp4(const std::string& tlvs = {}) { return v2('\x21', '\x11', kV4Block + tlvs); }

// The client's address, "nobody", "more", or "bad".
std::string result_of(std::string_view input) {
  const ProxyStep step = parse_proxy_header(input, kBytesMax);
  switch (step.status) {
    case ProxyStatus::NeedMore:
      return step.header_bytes == input.size() ? "more" : "more, but not of all";
    case ProxyStatus::Failure:
      return step.reason.empty() ? "bad, without a word" : "bad";
    case ProxyStatus::Done:
      return step.client.is_known() ? step.client.text() : "nobody";
  }
  return "?";
}

TEST(ProxyHeader, Version1) {
  EXPECT_EQ(result_of("PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"), "203.0.113.7");
  EXPECT_EQ(result_of("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "2001:db8::1");
  EXPECT_EQ(result_of("PROXY UNKNOWN\r\n"), "nobody");
  EXPECT_EQ(result_of("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), "nobody");
}

TEST(ProxyHeader, Version1MayBeAsLongAs107Bytes) {
  const std::string line = "PROXY UNKNOWN " + std::string(91, 'x');
  ASSERT_EQ(line.size(), 105U);
  EXPECT_EQ(result_of(line + "\r\n"), "nobody");
  EXPECT_EQ(result_of(line + "x\r\n"), "bad");
  EXPECT_EQ(result_of(std::string("PROXY ") + std::string(100, 'x')), "more");
  EXPECT_EQ(result_of(std::string("PROXY ") + std::string(101, 'x')), "bad");
  EXPECT_EQ(result_of(std::string("PROXY ") + std::string(102, 'x')), "bad") << "108 bytes without CRLF";
}

TEST(ProxyHeader, Version1RefusesWhatIsNotExact) {
  for (const std::string_view line : {"PROXY TCP4 999.1.1.1 192.0.2.1 1 2\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 -1 443\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 01 443\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 1 \r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n",
                                      "PROXY TCP4  203.0.113.7 192.0.2.1 1 2\r\n",
                                      "PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n",
                                      "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
                                      "PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n",
                                      "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
                                      "PROXY TCP5 a b 1 2\r\n",
                                      "PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n",
                                      "PROXY \r\n",
                                      "PROXY UNKNOWNS\r\n",
                                      "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
                                      "PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n",
                                      "GET /status HTTP/1.1\r\n\r\n",
                                      "\x16\x03\x01",
                                      "\r\n\r\nGET"}) {
    EXPECT_EQ(result_of(line), "bad") << line;
  }
}

TEST(ProxyHeader, Version2) {
  EXPECT_EQ(result_of(v2_tcp4()), "203.0.113.7");
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" + std::string(16, '\0') + "\0\1\0\2"s;
  EXPECT_EQ(result_of(v2('\x21', '\x21', v6)), "2001:db8::1");
  EXPECT_EQ(result_of(v2('\x21', '\x31', std::string(216, 'u'))), "nobody");
  EXPECT_EQ(result_of(v2('\x21', '\x00', "anything")), "bad") << "fields must end where the header does";
  EXPECT_EQ(result_of(v2('\x21', '\x00', "")), "nobody");
}

TEST(ProxyHeader, Version2LocalSpeaksForNobodyWhateverItCarries) {
  EXPECT_EQ(result_of(v2('\x20', '\x00', "")), "nobody");
  EXPECT_EQ(result_of(v2('\x20', '\x11', kV4Block)), "nobody");
  EXPECT_EQ(result_of(v2('\x20', '\x3F', "whatever")), "nobody");
}

TEST(ProxyHeader, Version2RefusesWhatIsNotExact) {
  std::string bad_signature = v2_tcp4();
  bad_signature[11] = '\r';
  EXPECT_EQ(result_of(bad_signature), "bad");
  EXPECT_EQ(result_of(v2('\x11', '\x11', kV4Block)), "bad") << "version 1";
  EXPECT_EQ(result_of(v2('\x31', '\x11', kV4Block)), "bad") << "version 3";
  EXPECT_EQ(result_of(v2('\x22', '\x11', kV4Block)), "bad") << "command 2";
  EXPECT_EQ(result_of(v2('\x21', '\x3F', kV4Block)), "bad") << "no such family";
  EXPECT_EQ(result_of(v2('\x21', '\x12', kV4Block)), "bad") << "UDP";
  EXPECT_EQ(result_of(v2('\x21', '\x11', "")), "bad") << "no addresses";
  EXPECT_EQ(result_of(v2('\x21', '\x11', kV4Block.substr(1))), "bad");
  EXPECT_EQ(result_of(v2('\x21', '\x21', kV4Block)), "bad") << "IPv6 addresses are longer";
  EXPECT_EQ(result_of(kSignature + "\x21\x11\xFF\xFF" + kV4Block), "bad") << "65535 bytes announced";
}

TEST(ProxyHeader, Version2IsAtMostAsLongAsAllowed) {
  const std::string padding(kBytesMax - 16 - 12 - 3, 'p');
  const auto no_op = [](const std::string& value) {
    return "\x04"s + static_cast<char>(value.size() >> 8U) + static_cast<char>(value.size() & 0xFFU) + value;
  };
  EXPECT_EQ(result_of(v2_tcp4(no_op(padding))), "203.0.113.7");
  EXPECT_EQ(result_of(v2_tcp4(no_op(padding + "p"))), "bad");
}

TEST(ProxyHeader, Version2FieldsEndWithTheHeader) {
  EXPECT_EQ(result_of(v2_tcp4("\x02\x00\x01x"s)), "203.0.113.7");
  EXPECT_EQ(result_of(v2_tcp4("\x02\x00\x02x"s)), "bad");
  EXPECT_EQ(result_of(v2_tcp4("\x02\x00"s)), "bad");
  EXPECT_EQ(result_of(v2_tcp4("\x02\xFF\xFFx"s)), "bad");
}

TEST(ProxyHeader, Version2ChecksumIsChecked) {
  EXPECT_EQ(result_of(v2_tcp4("\x03\x00\x04\x00\x00\x00\x00"s)), "bad");
  EXPECT_EQ(result_of(v2_tcp4("\x03\x00\x03\x00\x00\x00"s)), "bad");
}

TEST(ProxyHeader, IsFoundAtEachCutAndLeavesWhatFollows) {
  for (const std::string& header : {"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"s, v2_tcp4("\x02\x00\x01x"s)}) {
    for (std::size_t cut = 0; cut < header.size(); ++cut) {
      EXPECT_EQ(result_of(header.substr(0, cut)), "more") << cut;
    }
    const ProxyStep step = parse_proxy_header(header + header + "GET / HTTP/1.1", kBytesMax);
    EXPECT_EQ(step.status, ProxyStatus::Done);
    EXPECT_EQ(step.header_bytes, header.size());
  }
}

}  // namespace
}  // namespace jamsocket::http
