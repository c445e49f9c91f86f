// http/forwarded.hpp
//
// Who is behind a proxy, as its header of an HTTP request says: X-Forwarded-For, or Forwarded (RFC 7239).
// Pure functions of text.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/address.hpp"

namespace jamsocket::http {

enum class ForwardedHeader : std::uint8_t { XForwardedFor, Forwarded };

struct ForwardedFor {
  enum class Status : std::uint8_t {
    Known,    ///< `client` is who the nearest proxy that is not trusted spoke for.
    Unsaid,   ///< No header, or the element says "unknown" or a name: the connection counts as the proxy's own.
    Garbage,  ///< The element that counts is no address: 400.
  } status = Status::Unsaid;
  IpAddress client{};
};

/// The last address that is not a trusted proxy's. What stands in front of it was said by somebody else, perhaps by the
/// client itself, and is not looked at.
///
/// @param value    all headers of the name, joined by commas in their order; empty: there is none.
/// @param trusted  whether an address is one of our proxies'.
/// @source RFC 7239 sections 4 and 6
[[nodiscard]] ForwardedFor forwarded_for(ForwardedHeader header, std::string_view value,
                                         const std::function<bool(const IpAddress&)>& trusted);

}  // namespace jamsocket::http
