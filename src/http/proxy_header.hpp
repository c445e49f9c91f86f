// http/proxy_header.hpp
//
// The header of the PROXY protocol, versions 1 and 2: what a proxy says in front of a connection about who is behind
// it. A pure function of bytes.
//
// Read only where a proxy that is trusted must send one: who may say it, may be anybody.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/address.hpp"

namespace jamsocket::http {

enum class ProxyStatus : std::uint8_t { NeedMore, Done, Failure };

struct ProxyStep {
  ProxyStatus status = ProxyStatus::NeedMore;
  /// Of the input: the header's when Done, all of it when NeedMore. Behind a header other bytes may follow.
  std::size_t header_bytes = 0;
  /// Done: whom the proxy speaks for; nobody's when it does not say (LOCAL, UNKNOWN, a unix-domain socket): then the
  /// connection is the proxy's own.
  IpAddress client{};
  std::string_view reason{};  ///< Failure: one sentence, without the peer's bytes.
  bool is_too_long = false;   ///< Failure: it is longer than `bytes_max`.
};

/// Looks at the bytes that a connection begins with, all that have come so far.
///
/// @param input      from the connection's first byte on.
/// @param bytes_max  of a whole version 2 header; version 1 has at most 107.
/// @source https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, sections 2.1 and 2.2
[[nodiscard]] ProxyStep parse_proxy_header(std::string_view input, std::size_t bytes_max);

}  // namespace jamsocket::http
