#include "auth/token.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "auth/base64url.hpp"
#include "auth/strict_json.hpp"

namespace jamsocket::auth {
namespace {

using nlohmann::json;

constexpr std::size_t kSubjectBytesMax = 256;
constexpr double kLatestSeconds = 253'402'300'799.0;  // The end of the year 9999.

std::unexpected<Error> refused(std::string_view sentence) {
  return fail(ErrorCode::InvalidArgument, std::string(sentence));
}
std::unexpected<Error> malformed(std::string_view sentence) {
  return fail(ErrorCode::Malformed, std::string(sentence));
}

// The three parts of a compact serialisation, still encoded.
struct Parts {
  std::string_view header;
  std::string_view claims;
  std::string_view signature;
  std::string_view signed_part;  ///< The first two with the dot between them.
};

std::optional<Parts> take_apart(std::string_view token) {
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return Parts{.header = token.substr(0, first),
               .claims = token.substr(first + 1, second - first - 1),
               .signature = token.substr(second + 1),
               .signed_part = token.substr(0, second)};
}

std::optional<json> decode_object(std::string_view encoded) {
  const auto text = from_base64url(encoded);
  auto parsed = text ? parse_strict_json(*text) : std::nullopt;
  return parsed && parsed->is_object() ? std::move(parsed) : std::nullopt;
}

// A NumericDate in milliseconds. nullopt: not a number, or no time that clocks will show.
std::optional<std::int64_t> time_of(const json& value) {
  if (!value.is_number()) {
    return std::nullopt;
  }
  const auto seconds = value.get<double>();
  if (!std::isfinite(seconds) || seconds < 0.0 || seconds > kLatestSeconds) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(seconds * 1000.0);
}

// Whether a claim is `wanted`, or a list of texts with it.
template <class IsWanted>
bool names(const json& claim, IsWanted is_wanted) {
  if (claim.is_string()) {
    return is_wanted(claim.get_ref<const std::string&>());
  }
  return claim.is_array() && std::ranges::all_of(claim, [](const json& element) { return element.is_string(); }) &&
         std::ranges::any_of(claim,
                             [&](const json& element) { return is_wanted(element.get_ref<const std::string&>()); });
}

// When it no longer counts.
Result<std::int64_t> check_times(const json& claims, std::int64_t unix_ms, Milliseconds leeway) {
  const auto exp = claims.find("exp");
  if (exp == claims.end()) {
    return refused("The token has no 'exp'.");
  }
  const auto expires = time_of(*exp);
  if (!expires) {
    return refused("The token's 'exp' is no time.");
  }
  if (unix_ms >= *expires + leeway.count()) {
    return refused("The token has expired.");
  }
  for (const char* name : {"nbf", "iat"}) {
    const auto claim = claims.find(name);
    if (claim == claims.end()) {
      continue;
    }
    const auto begins = time_of(*claim);
    if (!begins) {
      return refused("The token's 'nbf' or 'iat' is no time.");
    }
    if (unix_ms + leeway.count() < *begins) {
      return refused("The token does not count yet.");
    }
  }
  return *expires + leeway.count();
}

Result<void> check_addressees(const json& claims, std::string_view room_id, const TokenRules& rules) {
  const auto is_ours = [&](const std::string& name) {
    return std::ranges::find(rules.audiences, name) != rules.audiences.end();
  };
  const auto aud = claims.find("aud");
  // RFC 7519 section 4.1.3: who is not named in it must refuse it, and who is named by nothing is not.
  if (aud == claims.end() ? !rules.audiences.empty() : !names(*aud, is_ours)) {
    return refused("The token is for another audience.");
  }
  if (!rules.issuers.empty()) {
    const auto iss = claims.find("iss");
    const bool is_known = iss != claims.end() && iss->is_string() &&
                          std::ranges::find(rules.issuers, iss->get_ref<const std::string&>()) != rules.issuers.end();
    if (!is_known) {
      return refused("The token is of another issuer.");
    }
  }
  const auto room = claims.find("room");
  if (room != claims.end() && !names(*room, [&](const std::string& name) { return name == room_id; })) {
    return refused("The token is for another room.");
  }
  return {};
}

Result<std::string> subject_of(const json& claims) {
  const auto sub = claims.find("sub");
  if (sub == claims.end()) {
    return std::string();
  }
  const bool is_name = sub->is_string() && !sub->get_ref<const std::string&>().empty() &&
                       sub->get_ref<const std::string&>().size() <= kSubjectBytesMax &&
                       std::ranges::none_of(sub->get_ref<const std::string&>(),
                                            [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (!is_name) {
    return refused("The token's 'sub' is no text of 1 to 256 bytes without control characters.");
  }
  return sub->get<std::string>();
}

}  // namespace

Result<Identity> Verifier::verify(std::string_view token, std::string_view room_id, std::int64_t unix_ms) const {
  if (token.size() > kTokenBytesMax) {
    return fail(ErrorCode::TooLarge, "The token has more than 4096 bytes.");
  }
  const auto parts = take_apart(token);
  const auto signature = parts ? from_base64url(parts->signature) : std::nullopt;
  if (!signature) {
    return malformed("The token is no JSON Web Token.");
  }
  // Before anything in the claims is looked at.
  JAM_TRY_VOID(check_signature(parts->header, parts->signed_part, *signature));
  const auto claims = decode_object(parts->claims);
  if (!claims) {
    return malformed("The token's claims are no JSON object that has one meaning.");
  }
  for (const std::string& name : rules_.required) {
    if (!claims->contains(name)) {
      return refused("The token lacks a claim that this server asks for.");
    }
  }
  Identity identity;
  identity.expires_ms = JAM_TRY(check_times(*claims, unix_ms, rules_.leeway));
  JAM_TRY_VOID(check_addressees(*claims, room_id, rules_));
  identity.subject = JAM_TRY(subject_of(*claims));
  for (const auto& [name, value] : claims->items()) {
    identity.claims.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return identity;
}

Result<void> Verifier::check_signature(std::string_view header, std::string_view message,
                                       std::string_view signature) const {
  const auto head = decode_object(header);
  if (!head) {
    return malformed("The token's header is no JSON object that has one meaning.");
  }
  // RFC 7515 section 4.1.11 asks that unknown critical extensions be refused; the others bring a key along.
  constexpr std::array<const char*, 5> kNever{"crit", "jku", "jwk", "x5c", "x5u"};
  if (std::ranges::any_of(kNever, [&](const char* name) { return head->contains(name); })) {
    return refused("The token's header has a field that is not allowed here.");
  }
  const auto kid = head->find("kid");
  const bool names_key = kid != head->end();
  if (names_key && !kid->is_string()) {
    return malformed("The token's 'kid' is no text.");
  }
  const bool has_one_key = keys_.all().size() == 1;
  const Key* const key = names_key     ? keys_.find(kid->get_ref<const std::string&>())
                         : has_one_key ? &keys_.all().front()
                                       : nullptr;
  if (key == nullptr) {
    return refused("The token is signed with a key that is not known here.");
  }
  const auto alg = head->find("alg");
  if (alg == head->end() || !alg->is_string() || alg->get_ref<const std::string&>() != to_string(key->algorithm())) {
    return refused("The token's 'alg' is not that of its key.");
  }
  if (!key->verify(message, signature)) {
    return refused("The token's signature is wrong.");
  }
  return {};
}

Result<std::string> make_token(const Key& key, std::string_view claims) {
  const json header{{"alg", std::string(to_string(key.algorithm()))}, {"kid", key.id()}, {"typ", "JWT"}};
  std::string token = base64url(header.dump()) + "." + base64url(claims);
  const std::string signature = JAM_TRY(key.sign(token));
  return token + "." + base64url(signature);
}

}  // namespace jamsocket::auth
