#include "base/endpoint.hpp"

#include <algorithm>

#include "base/number.hpp"

namespace jamsocket {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::size_t kHostBytesMax = 253;  // RFC 1035 section 2.3.4, as text.

bool is_host_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
}
bool is_v6_char(char c) { return is_host_char(c) || c == ':' || c == '%'; }

}  // namespace

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  if (text.starts_with(kUnix)) {
    const std::string_view path = text.substr(kUnix.size());
    const bool is_good = path.starts_with('/') && path.size() > 1 && path.size() <= kPathBytesMax &&
                         path.find('\0') == std::string_view::npos && !path.ends_with('/');
    return is_good ? std::optional<Endpoint>({.path = std::string(path)}) : std::nullopt;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return std::nullopt;
  }
  std::string_view host = text.substr(0, colon);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (has_brackets) {
    host = host.substr(1, host.size() - 2);
  }
  if (!port || host.empty() || host.size() > kHostBytesMax ||
      !std::ranges::all_of(host, has_brackets ? is_v6_char : is_host_char)) {
    return std::nullopt;
  }
  return Endpoint{.host = std::string(host), .port = *port};
}

std::string Endpoint::text() const {
  if (is_unix()) {
    return std::string(kUnix) + path;
  }
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace jamsocket
