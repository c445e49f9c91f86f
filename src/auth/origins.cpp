#include "auth/origins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "base/number.hpp"

namespace jamsocket::auth {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kHttpPort = ":80";
constexpr std::string_view kHttpsPort = ":443";
constexpr std::size_t kHostBytesMax = 253;

std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

bool is_label_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

// Labels between dots, none of them empty: no dot at the end either, "example.com." is another origin.
bool is_name(std::string_view host) {
  if (host.empty() || host.size() > kHostBytesMax || host.front() == '.' || host.back() == '.' || host.contains("..")) {
    return false;
  }
  return std::ranges::all_of(host, [](char c) { return is_label_character(c) || c == '.'; });
}

bool is_bracketed_address(std::string_view host) {
  return host.size() >= 4 && host.front() == '[' && host.back() == ']' &&
         std::ranges::all_of(host.substr(1, host.size() - 2), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
         });
}

bool is_port(std::string_view port) { return parse_number<std::uint16_t>(port) && port.front() != '0'; }

struct HostAndPort {
  std::string_view host;
  std::string_view port;  ///< With its colon; empty: none.
};

// An IPv6 address has colons of its own, within brackets.
HostAndPort split(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  const std::size_t bracket = authority.rfind(']');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) {
    return {authority, {}};
  }
  return {authority.substr(0, colon), authority.substr(colon)};
}

struct Origin {
  std::string_view scheme;  ///< With "://".
  std::string_view host;
  std::string_view port;  ///< With its colon; empty: the scheme's own.
};

// nullopt: no origin as a browser writes it (RFC 6454 section 6.2), such as "null".
std::optional<Origin> take_apart(std::string_view text) {
  Origin origin;
  origin.scheme = text.starts_with(kHttps) ? kHttps : text.starts_with(kHttp) ? kHttp : std::string_view();
  if (origin.scheme.empty()) {
    return std::nullopt;
  }
  const auto [host, port] = split(text.substr(origin.scheme.size()));
  if ((!is_name(host) && !is_bracketed_address(host)) || (!port.empty() && !is_port(port.substr(1)))) {
    return std::nullopt;
  }
  origin.host = host;
  origin.port = port == (origin.scheme == kHttps ? kHttpsPort : kHttpPort) ? std::string_view() : port;
  return origin;
}

// "example.com" of "*.example.com"; nullopt: it has no such beginning.
std::optional<std::string_view> behind_wildcard(std::string_view host) {
  constexpr std::string_view kStar = "*.";
  return host.starts_with(kStar) ? std::optional(host.substr(kStar.size())) : std::nullopt;
}

// The scheme, and the origin without the "*." of its host.
std::optional<std::pair<std::string, std::string>> take_wildcard_apart(std::string_view entry) {
  for (const std::string_view scheme : {kHttps, kHttp}) {
    if (entry.starts_with(scheme)) {
      if (const auto rest = behind_wildcard(entry.substr(scheme.size()))) {
        return std::pair(std::string(scheme), std::string(scheme) + std::string(*rest));
      }
    }
  }
  return std::nullopt;
}

bool is_same(const Origin& origin, std::string_view authority) {
  const auto [host, port] = split(authority);
  const std::string_view own_port = origin.scheme == kHttps ? kHttpsPort : kHttpPort;
  const std::string_view effective = port == own_port ? std::string_view() : port;
  return in_lower_case(host) == origin.host && effective == origin.port;
}

}  // namespace

bool is_origin_entry(std::string_view text) {
  if (text == "same" || text == "any") {
    return true;
  }
  const auto wildcard = take_wildcard_apart(text);
  const auto origin = take_apart(wildcard ? std::string_view(wildcard->second) : text);
  // A wildcard in front of an address, or of a top-level name alone, is a mistake.
  return origin && (!wildcard || (origin->host.contains('.') && origin->host.front() != '['));
}

bool is_host_entry(std::string_view text) {
  if (const auto rest = behind_wildcard(text)) {
    return is_name(*rest) && rest->contains('.');
  }
  return is_name(text) || is_bracketed_address(text);
}

OriginRules::OriginRules() = default;

Result<OriginRules> OriginRules::parse(const std::vector<std::string>& entries) {
  OriginRules rules;
  rules.same_ = false;
  for (const std::string& entry : entries) {
    if (!is_origin_entry(entry)) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("'{}' is no origin; allowed: {}", escape_for_log(entry, 80), kOriginEntries));
    }
    if (entry == "same") {
      rules.same_ = true;
    } else if (entry == "any") {
      rules.any_ = true;
    } else if (const auto wildcard = take_wildcard_apart(entry)) {
      const Origin origin = *take_apart(wildcard->second);
      rules.wildcards_.push_back({.scheme = wildcard->first, .suffix = fmt::format(".{}{}", origin.host, origin.port)});
    } else {
      const Origin origin = *take_apart(entry);
      rules.exact_.push_back(fmt::format("{}{}{}", origin.scheme, origin.host, origin.port));
    }
  }
  return rules;
}

bool OriginRules::allows(std::string_view origin, std::string_view authority) const {
  if (any_) {
    return true;
  }
  const auto parts = take_apart(origin);
  if (!parts) {
    return false;
  }
  if (same_ && is_same(*parts, authority)) {
    return true;
  }
  const std::string place = fmt::format("{}{}", parts->host, parts->port);
  if (std::ranges::find(exact_, fmt::format("{}{}", parts->scheme, place)) != exact_.end()) {
    return true;
  }
  return std::ranges::any_of(wildcards_, [&](const Wildcard& wildcard) {
    return parts->scheme == wildcard.scheme && place.size() > wildcard.suffix.size() &&
           place.ends_with(wildcard.suffix);
  });
}

Result<HostRules> HostRules::parse(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    if (!is_host_entry(entry)) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("'{}' is no host; allowed: {}", escape_for_log(entry, 80), kHostEntries));
    }
  }
  HostRules rules;
  rules.entries_ = entries;
  return rules;
}

bool HostRules::allows(std::string_view authority) const {
  if (entries_.empty()) {
    return true;
  }
  const std::string host = in_lower_case(split(authority).host);
  return std::ranges::any_of(entries_, [&](std::string_view entry) {
    const auto rest = behind_wildcard(entry);
    return rest ? host.size() > rest->size() + 1 && is_name(host) && host.ends_with(entry.substr(1)) : host == entry;
  });
}

}  // namespace jamsocket::auth
