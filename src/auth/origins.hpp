// auth/origins.hpp
//
// Which web pages may reach the rooms, and under which names the server may be asked for. Pure.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::auth {

/// What an entry of an allow-list may look like, for a person.
inline constexpr std::string_view kOriginEntries =
    "\"same\", \"any\", or an origin like \"https://example.com\", \"https://example.com:8443\" or "
    "\"https://*.example.com\", in lower case";
inline constexpr std::string_view kHostEntries =
    "host names or addresses without a port, in lower case, or \"*.example.com\"";

[[nodiscard]] bool is_origin_entry(std::string_view text);
[[nodiscard]] bool is_host_entry(std::string_view text);

/// The origins whose pages may open a WebSocket or make a room.
///
/// An entry matches byte by byte: scheme, host and port; a port that is the scheme's own (80, 443) may be
/// left out on either side. `*.` stands for one or more whole labels in front, never for none. "same" is the host and
/// port that the request was sent to; "any" is every origin.
class OriginRules {
 public:
  /// "same" only.
  OriginRules();
  /// @error InvalidArgument  an entry that `is_origin_entry` refuses.
  [[nodiscard]] static Result<OriginRules> parse(const std::vector<std::string>& entries);

  /// @param origin  the request's Origin header, as sent.
  /// @param authority  whom the request is for: "host" or "host:port".
  /// @source RFC 6454 section 7; RFC 6455 section 10.2
  [[nodiscard]] bool allows(std::string_view origin, std::string_view authority) const;

 private:
  bool any_ = false;
  bool same_ = true;
  std::vector<std::string> exact_;  ///< Without the scheme's own port.
  struct Wildcard {
    std::string scheme;  ///< "https://"
    std::string suffix;  ///< ".example.com", and perhaps a port.
  };
  std::vector<Wildcard> wildcards_;
};

/// The names that requests may be sent to: what keeps a name that somebody else points at this machine
/// (DNS rebinding) from making a page "the same host".
class HostRules {
 public:
  /// Every name.
  HostRules() = default;
  /// @param entries  empty: every name.
  /// @error InvalidArgument  an entry that `is_host_entry` refuses.
  [[nodiscard]] static Result<HostRules> parse(const std::vector<std::string>& entries);

  /// @param authority  "host" or "host:port"; the port and the case of letters do not count.
  [[nodiscard]] bool allows(std::string_view authority) const;

 private:
  std::vector<std::string> entries_;
};

}  // namespace jamsocket::auth
