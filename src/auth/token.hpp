// auth/token.hpp
//
// JSON Web Tokens: who a client says it is, as somebody with one of our keys has signed it.
//
// A token chooses nothing: which key is asked for by id among those configured, and the algorithm is the key's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/keys.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace jamsocket::auth {

inline constexpr std::size_t kTokenBytesMax = 4096;

/// What a token said, found true.
struct Identity {
  std::string subject;          ///< Empty: it named none.
  std::int64_t expires_ms = 0;  ///< Unix time at which it no longer counts, the leeway included; 0: never.
  /// Every claim by name: texts as they are, anything else as JSON.
  std::vector<std::pair<std::string, std::string>> claims;
  friend bool operator==(const Identity&, const Identity&) = default;
};

struct TokenRules {
  std::vector<std::string> audiences{};      ///< `aud` must name one of them; empty: there may be none.
  std::vector<std::string> issuers{};        ///< `iss` must be one of them; empty: it does not matter.
  std::vector<std::string> required{"sub"};  ///< Claims that must be there, beside `exp`.
  Milliseconds leeway{3'000};                ///< How far clocks may differ.
};

class Verifier {
 public:
  Verifier(KeySet keys, TokenRules rules) : keys_(std::move(keys)), rules_(std::move(rules)) {}

  /// @param room_id  which room the client asks for: a claim `room`, if there is one, must be it, or a list with it.
  /// @return who it is, or one sentence for the client, which holds nothing of the token.
  /// @error TooLarge         more than kTokenBytesMax bytes.
  /// @error Malformed        no JSON Web Signature in compact form with JSON that has one meaning.
  /// @error InvalidArgument  signed by none of the keys, or not for this server, this room, this moment.
  /// @source RFC 7515 section 5.2; RFC 7519 section 7.2; RFC 8725
  [[nodiscard]] Result<Identity> verify(std::string_view token, std::string_view room_id, std::int64_t unix_ms) const;

  [[nodiscard]] const KeySet& keys() const { return keys_; }
  [[nodiscard]] const TokenRules& rules() const { return rules_; }

 private:
  [[nodiscard]] Result<void> check_signature(std::string_view header, std::string_view message,
                                             std::string_view signature) const;

  KeySet keys_;
  TokenRules rules_;
};

/// @param claims  a JSON object, as text.
/// @error Unsupported  the key cannot sign.
[[nodiscard]] Result<std::string> make_token(const Key& key, std::string_view claims);

}  // namespace jamsocket::auth
