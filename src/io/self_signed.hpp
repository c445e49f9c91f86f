// io/self_signed.hpp
//
// Certificates that nobody vouches for, for trying out: `jamsocket dev --tls`, tests.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::io {

struct SelfSignedOptions {
  std::vector<std::string> names{"localhost"};             ///< The first is the subject's common name.
  std::vector<std::string> addresses{"127.0.0.1", "::1"};  ///< IPv4 or IPv6.
  std::int64_t valid_from_unix_s = 0;
  std::int64_t valid_until_unix_s = 0;
};

/// Both in PEM.
struct CertificateAndKey {
  std::string certificate;
  std::string key;
};

/// A new P-256 key and a certificate for it, which may only serve as a server's.
/// @error InvalidArgument  an address that is none, or dates that cannot be written.
[[nodiscard]] Result<CertificateAndKey> make_self_signed(const SelfSignedOptions& options);

}  // namespace jamsocket::io
