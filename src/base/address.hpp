// base/address.hpp
//
// IP addresses and networks as values: who a client is, and whom the configuration names.

#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jamsocket {

/// An IPv4 or IPv6 address without port and zone, or the address of nobody (a peer on a unix-domain socket).
/// IPv4 is kept as IPv6 has it (::ffff:a.b.c.d): a client that comes by either socket is the same client.
class IpAddress {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  IpAddress() = default;
  [[nodiscard]] static IpAddress v4(const std::array<std::uint8_t, 4>& bytes);
  [[nodiscard]] static IpAddress v6(const Bytes& bytes);
  /// "203.0.113.7", "2001:db8::1"; nullopt: it is something else, like a name, a port behind it, a zone or a number
  /// with leading zeros.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_known() const { return is_known_; }
  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  /// As `parse` takes it; empty: nobody's.
  [[nodiscard]] std::string text() const;
  /// The address with all bits behind the first `bits` (of 128; an IPv4 address begins at 96) zero.
  [[nodiscard]] IpAddress prefix(unsigned bits) const;
  /// What counts as one client's: the IPv4 address, or the /64 of an IPv6 address, which is one customer's at least.
  [[nodiscard]] IpAddress subscriber() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Bytes bytes_{};
  bool is_known_ = false;
};

/// All addresses that begin alike.
class IpNetwork {
 public:
  /// "10.0.0.0/8", "2001:db8::/32", or one address. @return nullopt: neither, or bits are set behind the prefix, which
  /// is more often a mistake than meant.
  [[nodiscard]] static std::optional<IpNetwork> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& address) const;

 private:
  IpNetwork(const IpAddress& first, unsigned bits) : first_(first), bits_(bits) {}

  IpAddress first_;
  unsigned bits_;  ///< Of 128.
};

}  // namespace jamsocket
