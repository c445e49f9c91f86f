#include "http/forwarded.hpp"

#include <algorithm>
#include <optional>

#include "http/lists.hpp"
#include "http/request.hpp"

namespace jamsocket::http {
namespace {

// "203.0.113.7", "203.0.113.7:4711", "[2001:db8::1]", "[2001:db8::1]:4711"; bare IPv6 as X-Forwarded-For has it.
std::optional<IpAddress> parse_node(std::string_view node, ForwardedHeader header) {
  const auto is_port = [](std::string_view text) {
    return text.size() >= 2 && text.size() <= 6 && text.front() == ':' &&
           std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (node.starts_with('[')) {
    const std::size_t end = node.find(']');
    if (end == std::string_view::npos || (end + 1 != node.size() && !is_port(node.substr(end + 1)))) {
      return std::nullopt;
    }
    const std::string_view inside = node.substr(1, end - 1);
    return inside.contains(':') ? IpAddress::parse(inside) : std::nullopt;
  }
  const std::size_t colon = node.find(':');
  const bool is_v6 = colon != std::string_view::npos && node.find(':', colon + 1) != std::string_view::npos;
  if (is_v6) {
    return header == ForwardedHeader::XForwardedFor ? IpAddress::parse(node) : std::nullopt;
  }
  if (colon != std::string_view::npos && !is_port(node.substr(colon))) {
    return std::nullopt;
  }
  return IpAddress::parse(node.substr(0, colon));
}

// The value of "for" in `for="[2001:db8::1]:4711";proto=https`, without quotes; empty: there is none, or it is said
// twice, or in a way that cannot be read.
std::string_view for_of(std::string_view element) {
  std::string_view found;
  while (!element.empty()) {
    const std::string_view pair = take_element(element, ';');
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !equal_ignoring_case(pair.substr(0, equals), "for")) {
      continue;
    }
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    if (!found.empty() || value.empty()) {
      return {};
    }
    found = value;
  }
  return found;
}

// RFC 7239 section 6: "unknown", or "_" and a name that means something to the proxy alone.
bool is_unsaid(std::string_view node) { return equal_ignoring_case(node, "unknown") || node.starts_with('_'); }

}  // namespace

ForwardedFor forwarded_for(ForwardedHeader header, std::string_view value,
                           const std::function<bool(const IpAddress&)>& trusted) {
  ForwardedFor found;
  // From the back, at each comma: what a proxy appends has none inside, whatever quotes the client left open in front.
  while (!value.empty()) {
    const std::size_t comma = value.rfind(',');
    const std::string_view element = trim(comma == std::string_view::npos ? value : value.substr(comma + 1));
    value = value.substr(0, comma == std::string_view::npos ? 0 : comma);
    if (element.empty()) {
      continue;
    }
    const std::string_view node = header == ForwardedHeader::Forwarded ? for_of(element) : element;
    if (is_unsaid(node)) {
      return found;
    }
    const auto address = parse_node(node, header);
    if (!address) {
      return {.status = ForwardedFor::Status::Garbage};
    }
    found = {.status = ForwardedFor::Status::Known, .client = *address};
    if (!trusted(*address)) {
      return found;
    }
  }
  return found;  // All of them are ours: the first is who began.
}

}  // namespace jamsocket::http
