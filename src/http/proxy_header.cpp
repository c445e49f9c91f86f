#include "http/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/number.hpp"

namespace jamsocket::http {
namespace {

constexpr std::string_view kV1Start = "PROXY ";
constexpr std::size_t kV1BytesMax = 107;
constexpr std::string_view kV2Signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kV2FixedBytes = 16;
constexpr std::size_t kV4Block = 12;
constexpr std::size_t kV6Block = 36;
constexpr std::size_t kUnixBlock = 216;
constexpr std::uint8_t kTlvCrc32c = 0x03;

ProxyStep failure(std::string_view reason) { return {.status = ProxyStatus::Failure, .reason = reason}; }
ProxyStep need_more(std::string_view input) { return {.status = ProxyStatus::NeedMore, .header_bytes = input.size()}; }
ProxyStep done(std::size_t bytes, const IpAddress& client) {
  return {.status = ProxyStatus::Done, .header_bytes = bytes, .client = client};
}

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::size_t big_endian_16(std::string_view bytes, std::size_t at) {
  return static_cast<std::size_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

bool is_port(std::string_view text) {
  const bool has_leading_zero = text.size() > 1 && text.front() == '0';
  return parse_number<std::uint16_t>(text) && !has_leading_zero;
}

// The words of "TCP4 203.0.113.7 192.0.2.1 56324 443", one space between each two; nullopt: there are not five.
std::optional<std::array<std::string_view, 5>> five_words(std::string_view text) {
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t space = text.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == words.size())) {
      return std::nullopt;
    }
    words[i] = text.substr(0, space);
    text.remove_prefix(std::min(words[i].size() + 1, text.size()));
  }
  return words;
}

// What is written with colons is IPv6, also when it embeds an IPv4 address.
bool is_of_family(std::string_view address, std::string_view family) {
  return (address.find(':') != std::string_view::npos) == (family == "TCP6");
}

ProxyStep parse_v1(std::string_view input) {
  const std::string_view start = input.substr(0, kV1BytesMax);
  const std::size_t line_end = start.find('\n');
  if (line_end == std::string_view::npos) {
    return input.size() >= kV1BytesMax ? failure("The PROXY header has no line end within 107 bytes.")
                                       : need_more(input);
  }
  if (start[line_end - 1] != '\r') {
    return failure("The PROXY header's line does not end in CR LF.");
  }
  const std::string_view rest = start.substr(kV1Start.size(), line_end - 1 - kV1Start.size());
  if (rest == "UNKNOWN" || rest.starts_with("UNKNOWN ")) {
    return done(line_end + 1, {});
  }
  const auto words = five_words(rest);
  if (!words || ((*words)[0] != "TCP4" && (*words)[0] != "TCP6")) {
    return failure("The PROXY header is neither TCP4, TCP6 nor UNKNOWN with two addresses and two ports.");
  }
  const auto [family, from, to, from_port, to_port] = *words;
  const auto client = IpAddress::parse(from);
  if (!client || !IpAddress::parse(to) || !is_of_family(from, family) || !is_of_family(to, family)) {
    return failure("The PROXY header has an address that is none of its family.");
  }
  if (!is_port(from_port) || !is_port(to_port)) {
    return failure("The PROXY header has a port that is none.");
  }
  return done(line_end + 1, *client);
}

// Bit by bit: a header a connection needs no table. The checksum counts itself as zero.
std::uint32_t crc32c(std::string_view header, std::size_t checksum_at) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool is_checksum = i >= checksum_at && i < checksum_at + 4;
    crc ^= is_checksum ? 0U : byte_at(header, i);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    }
  }
  return ~crc;
}

// What follows the addresses: type, length, value, to the very end. Empty: all is well.
std::string_view check_tlvs(std::string_view header, std::size_t at) {
  constexpr std::size_t kTlvHead = 3;
  while (at < header.size()) {
    if (header.size() - at < kTlvHead || header.size() - at - kTlvHead < big_endian_16(header, at + 1)) {
      return "The PROXY header has a field that goes on behind its end.";
    }
    const std::size_t length = big_endian_16(header, at + 1);
    const std::size_t value = at + kTlvHead;
    if (byte_at(header, at) == kTlvCrc32c) {
      const bool is_right = length == 4 && crc32c(header, value) ==
                                               (big_endian_16(header, value) << 16U | big_endian_16(header, value + 2));
      if (!is_right) {
        return "The PROXY header's checksum is wrong.";
      }
    }
    at = value + length;
  }
  return {};
}

// How long the block of addresses is; nullopt: it is nothing that a TCP connection comes from.
std::optional<std::size_t> block_bytes(std::uint8_t family) {
  switch (family) {
    case 0x00:  // Unspecified.
      return 0;
    case 0x11:  // TCP over IPv4, over IPv6, a stream of unix-domain sockets.
      return kV4Block;
    case 0x21:
      return kV6Block;
    case 0x31:
      return kUnixBlock;
    default:
      return std::nullopt;
  }
}

IpAddress source_of(std::string_view block) {
  if (block.size() == kV4Block) {
    std::array<std::uint8_t, 4> v4{};
    std::memcpy(v4.data(), block.data(), v4.size());
    return IpAddress::v4(v4);
  }
  if (block.size() == kV6Block) {
    IpAddress::Bytes v6{};
    std::memcpy(v6.data(), block.data(), v6.size());
    return IpAddress::v6(v6);
  }
  return {};
}

ProxyStep parse_v2(std::string_view input, std::size_t bytes_max) {
  if (input.size() < kV2FixedBytes) {
    return need_more(input);
  }
  const std::uint8_t version = byte_at(input, 12) >> 4U;
  const std::uint8_t command = byte_at(input, 12) & 0x0FU;
  const std::uint8_t family = byte_at(input, 13);
  if (version != 2 || command > 1) {
    return failure("The PROXY header is not version 2, or its command is neither LOCAL nor PROXY.");
  }
  const bool is_local = command == 0;
  const auto block = is_local ? std::optional<std::size_t>(0) : block_bytes(family);
  const std::size_t total = kV2FixedBytes + big_endian_16(input, 14);
  if (!block || total < kV2FixedBytes + *block) {
    return failure("The PROXY header's family is not TCP, or its addresses do not fit its length.");
  }
  if (total > bytes_max) {
    ProxyStep step = failure("The PROXY header is longer than limits.proxy_header_bytes_max.");
    step.is_too_long = true;
    return step;
  }
  if (input.size() < total) {
    return need_more(input);
  }
  const std::string_view header = input.substr(0, total);
  // What LOCAL carries says nothing, whatever it is.
  if (const std::string_view wrong = is_local ? std::string_view() : check_tlvs(header, kV2FixedBytes + *block);
      !wrong.empty()) {
    return failure(wrong);
  }
  return done(total, source_of(header.substr(kV2FixedBytes, *block)));
}

}  // namespace

ProxyStep parse_proxy_header(std::string_view input, std::size_t bytes_max) {
  if (input.empty()) {
    return need_more(input);
  }
  const std::string_view start = input.front() == kV1Start.front() ? kV1Start : kV2Signature;
  const std::size_t seen = std::min(input.size(), start.size());
  if (input.substr(0, seen) != start.substr(0, seen)) {
    return failure("This proxy must begin with a PROXY header.");
  }
  if (input.size() < start.size()) {
    return need_more(input);
  }
  return start == kV1Start ? parse_v1(input) : parse_v2(input, bytes_max);
}

}  // namespace jamsocket::http
