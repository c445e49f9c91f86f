// fuzz/token.cpp
//
// Promise: any bytes as a token are answered. Nothing is accepted that no key has signed; whatever a key has signed,
// claims that nobody would write too, is accepted only within its time, for its room and audience, with a subject that
// is a name, and alike when asked again. Whatever is given as a key is read or refused.

#include "auth/token.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include "auth/base64url.hpp"
#include "auth/strict_json.hpp"
#include "base/check.hpp"

#include <nlohmann/json.hpp>

namespace jamsocket::auth {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;

Key secret_key() { return *Key::from_secret("0123456789abcdef0123456789abcdef", "k"); }

// A signature over any header and any claims.
std::string signed_token(std::string_view header, std::string_view claims) {
  const std::string message = base64url(header) + "." + base64url(claims);
  return message + "." + base64url(*secret_key().sign(message));
}

void check_accepted(const Identity& identity, std::string_view token) {
  const std::string text(token);
  const std::size_t dot = text.find('.');
  const auto claims = parse_strict_json(*from_base64url(text.substr(dot + 1, text.rfind('.') - dot - 1)));
  JAM_CHECK(claims && claims->is_object());
  JAM_CHECK(identity.expires_ms > kNowMs);
  JAM_CHECK(identity.subject.size() <= 256 && identity.claims.size() == claims->size());
  JAM_CHECK(!claims->contains("sub") || (*claims)["sub"] == identity.subject);
  JAM_CHECK(secret_key().verify(text.substr(0, text.rfind('.')), *from_base64url(text.substr(text.rfind('.') + 1))));
}

}  // namespace
}  // namespace jamsocket::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace jamsocket::auth;
  if (size < 1) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  KeySet keys;
  JAM_CHECK(keys.add(secret_key()).has_value());
  const Verifier verifier(std::move(keys), {.audiences = {"rooms"}, .issuers = {}, .required = {}});
  std::string token(text);
  if (data[0] % 4 == 1) {
    token = signed_token(R"({"alg":"HS256","kid":"k"})", text);
  } else if (data[0] % 4 == 2) {
    token = signed_token(text, R"({"sub":"a","aud":"rooms","exp":1800000000})");
  } else if (data[0] % 4 == 3) {
    const auto key = Key::from_jwk(text, "k");
    if (key) {
      JAM_CHECK(Key::from_jwk(key->to_jwk(Key::Half::Public), "k").has_value());
      JAM_CHECK(!key->verify("message", "signature"));
    }
    JAM_CHECK(from_base64url(base64url(text)) == text);
    return 0;
  }
  const auto identity = verifier.verify(token, "room", kNowMs);
  JAM_CHECK(verifier.verify(token, "room", kNowMs).has_value() == identity.has_value());
  if (identity) {
    check_accepted(*identity, token);
  }
  return 0;
}
