#include "base/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/number.hpp"

namespace jamsocket {
namespace {

constexpr unsigned kV4Start = 96;  // Bits in front of an IPv4 address that IPv6 embeds (RFC 4291 section 2.5.5.2).
constexpr unsigned kBits = 128;
constexpr std::array<std::uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

}  // namespace

IpAddress IpAddress::v4(const std::array<std::uint8_t, 4>& bytes) {
  IpAddress made;
  std::ranges::copy(kV4Prefix, made.bytes_.begin());
  std::ranges::copy(bytes, made.bytes_.begin() + kV4Prefix.size());
  made.is_known_ = true;
  return made;
}

IpAddress IpAddress::v6(const Bytes& bytes) {
  IpAddress made;
  made.bytes_ = bytes;
  made.is_known_ = true;
  return made;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::ranges::copy(text, terminated.begin());
  // inet_pton, unlike inet_aton, takes four decimal numbers without leading zeros and nothing else.
  if (std::array<std::uint8_t, 4> bytes{}; ::inet_pton(AF_INET, terminated.data(), bytes.data()) == 1) {
    return v4(bytes);
  }
  if (Bytes bytes{}; ::inet_pton(AF_INET6, terminated.data(), bytes.data()) == 1) {
    return v6(bytes);
  }
  return std::nullopt;
}

bool IpAddress::is_v4() const { return is_known_ && std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes_.begin()); }

std::string IpAddress::text() const {
  if (!is_known_) {
    return {};
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    ::inet_ntop(AF_INET, bytes_.data() + kV4Prefix.size(), text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  }
  return text.data();
}

IpAddress IpAddress::prefix(unsigned bits) const {
  IpAddress made = *this;
  for (unsigned i = 0; i < made.bytes_.size(); ++i) {
    const unsigned kept = std::clamp(bits, i * 8, i * 8 + 8) - i * 8;
    made.bytes_[i] = static_cast<std::uint8_t>(made.bytes_[i] & (0xFF00U >> kept));
  }
  return made;
}

IpAddress IpAddress::subscriber() const { return is_v4() ? *this : prefix(64); }

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  if (slash == std::string_view::npos) {
    return IpNetwork(*address, kBits);
  }
  // An IPv4 network is said in IPv4's bits only if it was written so: "::ffff:10.0.0.0/104" has IPv6's.
  const unsigned start = text.substr(0, slash).find(':') == std::string_view::npos ? kV4Start : 0;
  const std::string_view digits = text.substr(slash + 1);
  const auto bits = parse_number<unsigned>(digits);
  const bool has_leading_zero = digits.size() > 1 && digits.front() == '0';
  if (!bits || has_leading_zero || *bits > kBits - start || address->prefix(start + *bits) != *address) {
    return std::nullopt;
  }
  return IpNetwork(*address, start + *bits);
}

bool IpNetwork::contains(const IpAddress& address) const {
  return address.is_known() && address.prefix(bits_) == first_;
}

}  // namespace jamsocket
