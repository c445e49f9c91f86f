// config/patterns.hpp
//
// Which texts a setting accepts, and how numbers with units are written. Pure.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jamsocket::config {

/// implicit, api, uuid, short, short3 to short12.
[[nodiscard]] bool is_room_strategy(std::string_view text);
/// never, immediate, <n>sec with n a whole number of at most nine digits.
[[nodiscard]] bool is_shutdown_policy(std::string_view text);
/// What a service may be called in [services.NAME] and in paths: 1 to 63 of a-z, 0-9, - and _, beginning
/// with a letter or a digit.
[[nodiscard]] bool is_service_name(std::string_view text);
inline constexpr std::string_view kServiceNames = "1 to 63 of a-z, 0-9, - and _, beginning with a letter or a digit";
/// An IPv4 or IPv6 address, or a host name.
[[nodiscard]] bool is_host(std::string_view text);
/// Whether nobody but this machine reaches it: 127.x.y.z, ::1, localhost.
[[nodiscard]] bool is_loopback(std::string_view host);
/// "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"; see base/endpoint.hpp.
[[nodiscard]] bool is_endpoint(std::string_view text);
/// Octal, four digits, with the owner's right to read and write: "0660".
[[nodiscard]] bool is_file_mode(std::string_view text);
/// An address, a network, or "unix".
[[nodiscard]] bool is_proxy(std::string_view text);
/// An HTTP header's name.
/// @source RFC 9110 section 5.6.2, token
[[nodiscard]] bool is_header_name(std::string_view text);

/// Decimal digits and nothing else; nullopt also past 2^64-1.
[[nodiscard]] std::optional<std::uint64_t> parse_whole_number(std::string_view text);
/// Digits, or digits followed at once by B, KiB, MiB or GiB.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
/// How much of what happened to kept rooms is kept: all zero for "none".
struct KeptHistory {
  bool all = false;
  std::chrono::hours age_max{0};
  std::uint64_t bytes_max = 0;
};
/// none, all, a number of hours or days ("12h", "7d"), or a size ("1GiB"); nullopt: none of these.
[[nodiscard]] std::optional<KeptHistory> parse_history(std::string_view text);
inline constexpr std::string_view kHistories = "none, all, a time like 12h or 7d, or a size like 1GiB";
/// In the largest unit that divides it: "64MiB", "1000B".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace jamsocket::config
