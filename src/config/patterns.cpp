#include "config/patterns.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/address.hpp"
#include "base/endpoint.hpp"
#include "base/number.hpp"

namespace jamsocket::config {
namespace {

struct SizeUnit {
  std::string_view suffix;
  std::uint64_t bytes;
};
constexpr std::array<SizeUnit, 4> kSizeUnits{
    {{"GiB", std::uint64_t{1} << 30U}, {"MiB", std::uint64_t{1} << 20U}, {"KiB", std::uint64_t{1} << 10U}, {"B", 1}}};

// The C library's classification follows the locale; these do not.
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

bool is_room_strategy(std::string_view text) {
  if (text == "implicit" || text == "api" || text == "uuid" || text == "short") {
    return true;
  }
  constexpr std::string_view kShort = "short";
  if (!text.starts_with(kShort)) {
    return false;
  }
  const std::string_view digits = text.substr(kShort.size());
  const std::optional<std::uint64_t> letters = parse_whole_number(digits);
  return letters && digits.front() != '0' && *letters >= 3 && *letters <= 12;
}

bool is_shutdown_policy(std::string_view text) {
  if (text == "never" || text == "immediate") {
    return true;
  }
  constexpr std::string_view kSuffix = "sec";
  constexpr std::size_t kDigitsMax = 9;
  if (!text.ends_with(kSuffix)) {
    return false;
  }
  const std::string_view digits = text.substr(0, text.size() - kSuffix.size());
  return !digits.empty() && digits.size() <= kDigitsMax && std::ranges::all_of(digits, is_digit);
}

bool is_service_name(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 63;
  const auto is_name_char = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_'; };
  return !text.empty() && text.size() <= kNameBytesMax && text.front() != '-' && text.front() != '_' &&
         std::ranges::all_of(text, is_name_char);
}

bool is_host(std::string_view text) {
  constexpr std::size_t kHostBytesMax = 253;  // RFC 1035 section 2.3.4, as text.
  const auto is_host_char = [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == ':' || c == '%'; };
  const bool has_port = std::ranges::count(text, ':') == 1;  // An IPv6 address has more.
  return !text.empty() && text.size() <= kHostBytesMax && !has_port && std::ranges::all_of(text, is_host_char);
}

// A name may begin with "127.", too, and lead anywhere.
bool is_loopback(std::string_view host) {
  const bool is_v4_loopback = host.starts_with("127.") && IpAddress::parse(host).has_value();
  return host == "localhost" || host == "::1" || is_v4_loopback;
}

bool is_endpoint(std::string_view text) { return Endpoint::parse(text).has_value(); }

bool is_file_mode(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  return text.size() == 4 && text.starts_with('0') && std::ranges::all_of(text, is_octal) && text[1] >= '6';
}

bool is_proxy(std::string_view text) { return text == "unix" || IpNetwork::parse(text).has_value(); }

bool is_header_name(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 128;
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  const auto is_token_char = [kMarks](char c) {
    return is_alphanumeric(c) || kMarks.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, is_token_char);
}

std::optional<std::uint64_t> parse_whole_number(std::string_view text) { return parse_number<std::uint64_t>(text); }

std::optional<std::uint64_t> parse_size(std::string_view text) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (text.ends_with(unit.suffix)) {
      const auto count = parse_whole_number(text.substr(0, text.size() - unit.suffix.size()));
      if (!count || *count > UINT64_MAX / unit.bytes) {
        return std::nullopt;
      }
      return *count * unit.bytes;
    }
  }
  return parse_whole_number(text);
}

std::optional<KeptHistory> parse_history(std::string_view text) {
  constexpr std::uint64_t kHoursMax = std::uint64_t{24} * 365 * 100;
  if (text == "none") {
    return KeptHistory{};
  }
  if (text == "all") {
    return KeptHistory{.all = true};
  }
  if (text.ends_with('h') || text.ends_with('d')) {
    const auto number = parse_whole_number(text.substr(0, text.size() - 1));
    const std::uint64_t hours_each = text.ends_with('d') ? 24 : 1;
    if (!number || *number == 0 || *number > kHoursMax / hours_each) {
      return std::nullopt;
    }
    return KeptHistory{.age_max = std::chrono::hours{static_cast<std::int64_t>(*number * hours_each)}};
  }
  // A number alone could be either.
  const auto bytes = text.ends_with('B') ? parse_size(text) : std::nullopt;
  return bytes && *bytes > 0 ? std::optional(KeptHistory{.bytes_max = *bytes}) : std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
  const auto* const unit = std::ranges::find_if(
      kSizeUnits, [bytes](const SizeUnit& candidate) { return bytes != 0 && bytes % candidate.bytes == 0; });
  return unit == kSizeUnits.end() ? "0B" : std::to_string(bytes / unit->bytes) + std::string(unit->suffix);
}

}  // namespace jamsocket::config
