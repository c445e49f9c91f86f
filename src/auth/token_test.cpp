#include "auth/token.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "auth/base64url.hpp"

namespace jamsocket::auth {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kNow = 1'700'000'000;  // Seconds.

class TokenTest : public testing::Test {
 protected:
  static Verifier make_verifier(const std::vector<Key>& keys, TokenRules rules = {}) {
    KeySet set;
    for (const Key& key : keys) {
      EXPECT_TRUE(set.add(Key::from_jwk(key.to_jwk(Key::Half::Public), "x").value()).has_value());
    }
    return {std::move(set), std::move(rules)};
  }
  std::string refusal(std::string_view token, std::string_view room = "room") const {
    const auto identity = verifier_.verify(token, room, kNow * 1000);
    return identity ? "accepted" : identity.error().message;
  }
  std::string refusal_of(const std::string& claims, std::string_view room = "room") const {
    return refusal(make_token(hmac_, claims).value(), room);
  }
  // A token with any header, signed as `key` would.
  static std::string forged(const Key& key, std::string_view header, std::string_view claims) {
    const std::string message = base64url(header) + "." + base64url(claims);
    return message + "." + base64url(key.sign(message).value());
  }

  const Key hmac_ = Key::generate(Algorithm::HS256, "h");
  const Key edwards_ = Key::generate(Algorithm::EdDSA, "e");
  const Key p256_ = Key::generate(Algorithm::ES256, "p");
  const Verifier verifier_ = make_verifier({hmac_, edwards_, p256_});
  const std::string good_ = R"({"sub":"alice","exp":1700000060})";
};

TEST_F(TokenTest, SaysWhoItIs) {
  for (const Key* key : {&hmac_, &edwards_, &p256_}) {
    const auto identity = verifier_.verify(
        make_token(*key, R"({"sub":"alice","exp":1700000060,"room":"room","role":"admin","level":3,"list":[1,"a"]})")
            .value(),
        "room", kNow * 1000);
    ASSERT_TRUE(identity.has_value()) << identity.error().message;
    EXPECT_EQ(identity->subject, "alice");
    EXPECT_EQ(identity->expires_ms, (kNow + 60) * 1000 + 3000);
    using Claim = std::pair<std::string, std::string>;
    EXPECT_THAT(identity->claims, testing::UnorderedElementsAre(Claim{"sub", "alice"}, Claim{"exp", "1700000060"},
                                                                Claim{"room", "room"}, Claim{"role", "admin"},
                                                                Claim{"level", "3"}, Claim{"list", R"([1,"a"])"}));
  }
}

// A-01: the algorithm is the key's.
TEST_F(TokenTest, AlgorithmsOfItsOwnChoiceAreRefused) {
  for (const char* name :
       {"none", "None", "nOnE", "NONE", "HS384", "HS512", "RS256", "ES384", "PS256", "hs256", "", "HS256 "}) {
    const std::string header = std::string(R"({"alg":")") + name + R"(","kid":"h"})";
    EXPECT_THAT(refusal(forged(hmac_, header, good_)), HasSubstr("'alg'")) << name;
    EXPECT_THAT(refusal(base64url(header) + "." + base64url(good_) + "."), HasSubstr("'alg'")) << name;
  }
  EXPECT_THAT(refusal(forged(hmac_, R"({"kid":"h"})", good_)), HasSubstr("'alg'"));
  EXPECT_THAT(refusal(forged(hmac_, R"({"alg":null,"kid":"h"})", good_)), HasSubstr("'alg'"));
}

// A-01: a public key is no secret of HS256, whatever the token says.
TEST_F(TokenTest, APublicKeyUsedAsASecretIsRefused) {
  for (const Key* key : {&edwards_, &p256_}) {
    const Key confused = Key::from_secret(key->to_jwk(Key::Half::Public), key->id()).value();
    EXPECT_THAT(refusal(make_token(confused, good_).value()), HasSubstr("'alg'"));
    const std::string header =
        std::string(R"({"alg":")") + std::string(to_string(key->algorithm())) + R"(","kid":")" + key->id() + "\"}";
    EXPECT_THAT(refusal(forged(confused, header, good_)), HasSubstr("signature"));
  }
}

// A-01: a key of one curve is none of another, nor of another kind.
TEST_F(TokenTest, ASignatureOfAnotherKeyIsRefused) {
  for (const Algorithm algorithm : {Algorithm::HS256, Algorithm::EdDSA, Algorithm::ES256}) {
    for (const char* id : {"h", "e", "p"}) {
      const std::string answer = refusal(make_token(Key::generate(algorithm, id), good_).value());
      EXPECT_THAT(answer, testing::AnyOf(HasSubstr("signature"), HasSubstr("'alg'")));
    }
  }
}

// A-01: every byte of a token counts: flipped, cut, or longer.
TEST_F(TokenTest, EveryByteCounts) {
  for (const Key* key : {&hmac_, &edwards_, &p256_}) {
    const std::string token = make_token(*key, good_).value();
    ASSERT_EQ(refusal(token), "accepted");
    for (std::size_t i = 0; i < token.size(); ++i) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string other = token;
        other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ (1U << bit));
        ASSERT_NE(refusal(other), "accepted") << to_string(key->algorithm()) << " byte " << i << " bit " << bit;
      }
      ASSERT_NE(refusal(token.substr(0, i)), "accepted") << "cut at " << i;
    }
    for (const char* more : {"A", "=", ".", " ", "\n", "AAAA"}) {
      EXPECT_NE(refusal(token + more), "accepted") << more;
      EXPECT_NE(refusal(more + token), "accepted") << more;
    }
    EXPECT_NE(refusal(token.substr(0, token.rfind('.') + 1)), "accepted") << "no signature";
    EXPECT_NE(refusal(token.substr(0, token.rfind('.'))), "accepted");
  }
}

// A-02: keys come from the configuration only.
TEST_F(TokenTest, KeysThatItNamesOrBringsAreRefused) {
  for (const std::string& kid : {std::string("../../dev/null"), std::string("' OR 1=1 --"), std::string("unknown"),
                                 std::string("H"), std::string(), std::string(2000, 'k')}) {
    EXPECT_THAT(refusal(forged(hmac_, R"({"alg":"HS256","kid":")" + kid + "\"}", good_)), HasSubstr("not known"))
        << kid;
  }
  EXPECT_THAT(refusal(forged(hmac_, R"({"alg":"HS256","kid":")" + std::string(1 << 20U, 'k') + "\"}", good_)),
              HasSubstr("4096"));
  EXPECT_THAT(refusal(forged(hmac_, R"({"alg":"HS256","kid":7})", good_)), HasSubstr("'kid'"));
  EXPECT_THAT(refusal(forged(hmac_, R"({"alg":"HS256"})", good_)), HasSubstr("not known")) << "which of the three?";
  for (const char* field : {R"("jku":"https://evil.example/keys")", R"("x5u":"https://evil.example")", R"("x5c":[])",
                            R"("jwk":{"kty":"oct","k":"AAAA"})", R"("crit":["exp"])", R"("crit":[])"}) {
    EXPECT_THAT(refusal(forged(hmac_, std::string(R"({"alg":"HS256","kid":"h",)") + field + "}", good_)),
                HasSubstr("not allowed"))
        << field;
  }
  EXPECT_THAT(refusal(forged(hmac_, R"({"alg":"HS256","kid":"e","kid":"h"})", good_)), HasSubstr("one meaning"));
}

TEST_F(TokenTest, AnOnlyKeyNeedNotBeNamed) {
  const Verifier one = make_verifier({edwards_});
  EXPECT_TRUE(one.verify(forged(edwards_, R"({"alg":"EdDSA"})", good_), "room", kNow * 1000).has_value());
  EXPECT_FALSE(
      one.verify(forged(edwards_, R"({"alg":"EdDSA","kid":"other"})", good_), "room", kNow * 1000).has_value());
}

// A-03. The leeway is three seconds.
TEST_F(TokenTest, TimesAreHeldExactly) {
  const auto at = [&](const std::string& claims, std::int64_t unix_ms) {
    return verifier_.verify(make_token(hmac_, claims).value(), "room", unix_ms).has_value();
  };
  EXPECT_TRUE(at(R"({"sub":"a","exp":1700000000})", kNow * 1000 - 1));
  EXPECT_TRUE(at(R"({"sub":"a","exp":1700000000})", kNow * 1000 + 2999));
  EXPECT_FALSE(at(R"({"sub":"a","exp":1700000000})", kNow * 1000 + 3000));
  EXPECT_TRUE(at(R"({"sub":"a","exp":1700000000.5})", kNow * 1000 + 3499));
  EXPECT_FALSE(at(R"({"sub":"a","exp":1700000000.5})", kNow * 1000 + 3500));
  EXPECT_TRUE(at(R"({"sub":"a","exp":1800000000,"nbf":1700000003})", kNow * 1000));
  EXPECT_FALSE(at(R"({"sub":"a","exp":1800000000,"nbf":1700000003})", kNow * 1000 - 1));
  EXPECT_TRUE(at(R"({"sub":"a","exp":1800000000,"iat":1700000003})", kNow * 1000));
  EXPECT_FALSE(at(R"({"sub":"a","exp":1800000000,"iat":1700000004})", kNow * 1000));
  EXPECT_TRUE(at(R"({"sub":"a","exp":253402300799})", kNow * 1000)) << "far, and a time";
}

TEST_F(TokenTest, WhatIsNoTimeIsRefused) {
  EXPECT_EQ(refusal_of(R"({"sub":"a","exp":1699999999})"), "accepted");
  EXPECT_EQ(refusal_of(R"({"sub":"a","exp":1699999939})"), "The token has expired.");
  EXPECT_EQ(refusal_of(R"({"sub":"a"})"), "The token has no 'exp'.");
  for (const char* exp : {"\"1800000000\"", "1e300", "-1", "null", "true", "[1800000000]", "{}", "253402300800",
                          "18446744073709551615", "-1e300"}) {
    EXPECT_THAT(refusal_of(std::string(R"({"sub":"a","exp":)") + exp + "}"), HasSubstr("no time")) << exp;
    EXPECT_THAT(refusal_of(std::string(R"({"sub":"a","exp":1800000000,"nbf":)") + exp + "}"), HasSubstr("no time"))
        << exp;
  }
  EXPECT_THAT(refusal_of(R"({"sub":"a","exp":1e999})"), HasSubstr("one meaning"));
}

// A-04.
TEST_F(TokenTest, AudiencesAndIssuersAreHeldExactly) {
  const Verifier strict = make_verifier({hmac_}, {.audiences = {"rooms", "chat"}, .issuers = {"https://login"}});
  const auto answer = [&](const std::string& more) {
    const auto identity =
        strict.verify(make_token(hmac_, R"({"sub":"a","exp":1800000000)" + more + "}").value(), "room", kNow * 1000);
    return identity ? std::string("accepted") : identity.error().message;
  };
  EXPECT_EQ(answer(R"(,"aud":"rooms","iss":"https://login")"), "accepted");
  EXPECT_EQ(answer(R"(,"aud":["other","chat"],"iss":"https://login")"), "accepted");
  for (const char* aud :
       {R"("room")", R"("rooms ")", R"("Rooms")", "[]", "7", "null", R"(["rooms",7])", R"({"rooms":1})"}) {
    EXPECT_THAT(answer(std::string(R"(,"iss":"https://login","aud":)") + aud), HasSubstr("audience")) << aud;
  }
  EXPECT_THAT(answer(R"(,"iss":"https://login")"), HasSubstr("audience"));
  for (const char* iss : {R"("https://login/")", R"(["https://login"])", "null", R"("")"}) {
    EXPECT_THAT(answer(std::string(R"(,"aud":"rooms","iss":)") + iss), HasSubstr("issuer")) << iss;
  }
  EXPECT_THAT(answer(R"(,"aud":"rooms")"), HasSubstr("issuer"));
  EXPECT_THAT(refusal_of(R"({"sub":"a","exp":1800000000,"aud":"rooms"})"), HasSubstr("audience"))
      << "none is configured";
  EXPECT_EQ(refusal_of(R"({"sub":"a","exp":1800000000,"iss":"anybody"})"), "accepted");
}

// A-04: a room is a whole name.
TEST_F(TokenTest, RoomsAreHeldExactly) {
  const auto claims = [](const std::string& room) { return R"({"sub":"a","exp":1800000000,"room":)" + room + "}"; };
  EXPECT_EQ(refusal_of(claims(R"("room1")"), "room1"), "accepted");
  EXPECT_EQ(refusal_of(claims(R"(["room2","room1"])"), "room1"), "accepted");
  EXPECT_THAT(refusal_of(claims(R"("room1")"), "room10"), HasSubstr("another room"));
  EXPECT_THAT(refusal_of(claims(R"("room10")"), "room1"), HasSubstr("another room"));
  EXPECT_THAT(refusal_of(claims(R"("room1/../room2")"), "room2"), HasSubstr("another room"));
  EXPECT_THAT(refusal_of(claims(R"("Room1")"), "room1"), HasSubstr("another room"));
  EXPECT_THAT(refusal_of(claims(R"("*")"), "room1"), HasSubstr("another room"));
  EXPECT_THAT(refusal_of(claims(R"("")"), "room1"), HasSubstr("another room"));
  for (const char* room : {"1", "null", "[]", "{}", R"(["room1",null])", R"([["room1"]])"}) {
    EXPECT_THAT(refusal_of(claims(room), "room1"), HasSubstr("another room")) << room;
  }
}

// A-04: a claim twice has two meanings.
TEST_F(TokenTest, ClaimsWithTwoMeaningsAreRefused) {
  EXPECT_THAT(refusal_of(R"({"sub":"a","sub":"b","exp":1800000000})"), HasSubstr("one meaning"));
  EXPECT_THAT(refusal_of(R"({"sub":"a","exp":1,"exp":1800000000})"), HasSubstr("one meaning"));
  EXPECT_THAT(refusal_of(R"({"sub":"a","exp":1800000000,"x":{"y":1,"y":2}})"), HasSubstr("one meaning"));
  EXPECT_EQ(refusal_of(R"({"sub":"a","exp":1800000000,"x":{"y":1},"y":2})"), "accepted");
  for (const char* claims : {"", "[]", "null", "7", "\"sub\"", "{", "{} {}", "\xef\xbb\xbf{}", "{\"sub\":\"\xff\"}",
                             R"({"sub":"\ud800"})"}) {
    EXPECT_THAT(refusal_of(claims), HasSubstr("one meaning")) << claims;
  }
  const std::string deep = std::string(400, '[') + "1" + std::string(400, ']');
  EXPECT_THAT(refusal_of(R"({"sub":"a","exp":1800000000,"x":)" + deep + "}"), HasSubstr("one meaning"));
}

TEST_F(TokenTest, SubjectsAreNames) {
  EXPECT_THAT(refusal_of(R"({"exp":1800000000})"), HasSubstr("lacks a claim"));
  for (const std::string& sub : {std::string("7"), std::string("null"), std::string(R"("")"), std::string(R"(["a"])"),
                                 std::string(R"("a\nb")"), "\"" + std::string(257, 'a') + "\""}) {
    EXPECT_THAT(refusal_of(R"({"exp":1800000000,"sub":)" + sub + "}"), HasSubstr("'sub'")) << sub;
  }
  EXPECT_EQ(refusal_of(R"({"exp":1800000000,"sub":")" + std::string(256, 'a') + "\"}"), "accepted");
  const Verifier lenient = make_verifier({hmac_}, {.required = {}});
  const auto nobody = lenient.verify(make_token(hmac_, R"({"exp":1800000000})").value(), "room", kNow * 1000);
  ASSERT_TRUE(nobody.has_value());
  EXPECT_EQ(nobody->subject, "");
}

// A-05.
TEST_F(TokenTest, ALongTokenIsNotEvenLookedAt) {
  std::string claims = R"({"sub":"a","exp":1800000000,"x":")";
  const auto token_of = [&](std::size_t fill) {
    return make_token(hmac_, claims + std::string(fill, 'x') + "\"}").value();
  };
  std::size_t fill = 2900;
  while (token_of(fill + 1).size() <= kTokenBytesMax) {
    ++fill;
  }
  EXPECT_EQ(refusal(token_of(fill)), "accepted");
  EXPECT_EQ(refusal(token_of(fill + 1)), "The token has more than 4096 bytes.");
  EXPECT_EQ(refusal(std::string(kTokenBytesMax + 1, 'A')), "The token has more than 4096 bytes.");
  EXPECT_EQ(refusal(std::string(kTokenBytesMax, 'A')), "The token is no JSON Web Token.");
}

TEST_F(TokenTest, WhatIsNoTokenIsRefused) {
  for (const char* text :
       {"", ".", "..", "...", "a.b.c", "a.b", "a.b.c.d", "alice", "Bearer a.b.c", "\xff.\xff.\xff"}) {
    EXPECT_NE(refusal(text), "accepted") << text;
  }
}

}  // namespace
}  // namespace jamsocket::auth
