// fuzz/proxy_header.cpp
//
// Promise: any bytes in front of a connection are answered, and the same way in whatever pieces they come; a header is
// never longer than what was given or allowed. Any text as X-Forwarded-For or Forwarded is answered.

#include "http/proxy_header.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "http/forwarded.hpp"

namespace {

using jamsocket::http::ProxyStatus;
using jamsocket::http::ProxyStep;

constexpr std::size_t kBytesMax = 300;

void check_header(std::string_view input) {
  const ProxyStep whole = jamsocket::http::parse_proxy_header(input, kBytesMax);
  JAM_CHECK(whole.header_bytes <= input.size());
  JAM_CHECK(whole.status != ProxyStatus::NeedMore || whole.header_bytes == input.size());
  JAM_CHECK(whole.status != ProxyStatus::NeedMore || input.size() < kBytesMax);
  JAM_CHECK((whole.status == ProxyStatus::Failure) == !whole.reason.empty());
  for (std::size_t cut = 0; cut < std::min(input.size(), kBytesMax + 1); ++cut) {
    const ProxyStep part = jamsocket::http::parse_proxy_header(input.substr(0, cut), kBytesMax);
    if (part.status == ProxyStatus::NeedMore) {
      continue;
    }
    JAM_CHECK(part.status == whole.status && part.header_bytes == whole.header_bytes && part.client == whole.client);
    return;
  }
}

void check_forwarded(std::string_view input) {
  for (const auto header :
       {jamsocket::http::ForwardedHeader::XForwardedFor, jamsocket::http::ForwardedHeader::Forwarded}) {
    using Status = jamsocket::http::ForwardedFor::Status;
    const auto found = jamsocket::http::forwarded_for(
        header, input, [](const jamsocket::IpAddress& address) { return address.bytes().back() % 2 == 0; });
    JAM_CHECK((found.status == Status::Known) == found.client.is_known());
    JAM_CHECK(jamsocket::IpAddress::parse(found.client.text()).value_or(jamsocket::IpAddress()) == found.client);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_header(input);
  check_forwarded(input);
  return 0;
}
