#include "auth/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "auth/base64url.hpp"

namespace jamsocket::auth {
namespace {

using testing::HasSubstr;

constexpr std::array kAll{Algorithm::HS256, Algorithm::EdDSA, Algorithm::ES256};

std::string pem_of(EVP_PKEY* pair) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, pair);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(length));
  BIO_free(bio);
  EVP_PKEY_free(pair);
  return text;
}

class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "jamsocket-keys-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string put(const std::string& name, std::string_view text) const {
    std::ofstream(path / name) << text;
    return path / name;
  }
  std::filesystem::path path;
};

TEST(Keys, WhatOneSignsItsOtherHalfVerifies) {
  for (const Algorithm algorithm : kAll) {
    const Key key = Key::generate(algorithm, "k");
    const auto signature = key.sign("message");
    ASSERT_TRUE(signature.has_value());
    EXPECT_EQ(signature->size(), algorithm == Algorithm::HS256 ? 32U : 64U);
    const Key read = Key::from_jwk(key.to_jwk(Key::Half::Public), "other").value();
    EXPECT_EQ(read.id(), "k");
    EXPECT_EQ(read.algorithm(), algorithm);
    EXPECT_TRUE(read.verify("message", *signature));
    EXPECT_FALSE(read.verify("massage", *signature));
    EXPECT_FALSE(Key::generate(algorithm, "k").verify("message", *signature));
    EXPECT_EQ(read.sign("message").has_value(), algorithm == Algorithm::HS256) << "a public half cannot sign";
    const Key whole = Key::from_jwk(key.to_jwk(Key::Half::Private), "other").value();
    EXPECT_TRUE(read.verify("again", whole.sign("again").value()));
  }
}

// A-01: every bit of a signature counts, and so does its length.
TEST(Keys, NoOtherSignatureVerifies) {
  for (const Algorithm algorithm : kAll) {
    const Key key = Key::generate(algorithm, "k");
    const std::string signature = key.sign("message").value();
    for (std::size_t i = 0; i < signature.size(); ++i) {
      std::string flipped = signature;
      flipped[i] = static_cast<char>(flipped[i] ^ static_cast<char>(1U << i % 8));
      EXPECT_FALSE(key.verify("message", flipped)) << to_string(algorithm) << " byte " << i;
      EXPECT_FALSE(key.verify("message", signature.substr(0, i))) << to_string(algorithm) << " cut at " << i;
    }
    EXPECT_FALSE(key.verify("message", signature + '\0'));
    EXPECT_FALSE(key.verify("message", std::string(signature.size(), '\0'))) << "zeros";
    EXPECT_FALSE(key.verify("message", std::string(signature.size(), '\xff')));
  }
}

// RFC 8037 appendix A.4.
TEST(Keys, VerifiesTheExampleOfEdDsa) {
  const Key key =
      Key::from_jwk(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})", "a").value();
  EXPECT_TRUE(key.verify(
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
      *from_base64url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")));
}

// RFC 7515 appendices A.1 and A.3.
TEST(Keys, VerifiesTheExamplesOfHs256AndEs256) {
  const Key hmac =
      Key::from_jwk(
          R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})",
          "a")
          .value();
  EXPECT_TRUE(
      hmac.verify("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6"
                  "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                  *from_base64url("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")));
  const Key ec = Key::from_jwk(R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                               R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
                               "a")
                     .value();
  EXPECT_TRUE(ec.verify(
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc"
      "19yb290Ijp0cnVlfQ",
      *from_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")));
}

TEST(Keys, RefusesWhatIsNoKeyForTheThreeAlgorithms) {
  const auto refusal = [](std::string_view jwk) {
    const auto key = Key::from_jwk(jwk, "a");
    return key ? std::string("taken") : key.error().message;
  };
  EXPECT_THAT(refusal("{"), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"), HasSubstr("neither"));
  EXPECT_THAT(refusal(R"({"kty":"oct","k":"c2hvcnQ"})"), HasSubstr("at least 32"));
  EXPECT_THAT(refusal(R"({"kty":"oct","k":1})"), HasSubstr("'k'"));
  EXPECT_THAT(refusal(R"({"kty":"OKP","crv":"X25519","x":"AA"})"), HasSubstr("neither"));
  EXPECT_THAT(refusal(R"({"kty":"OKP","crv":"Ed25519","x":"AA"})"), HasSubstr("'x' is not 32 bytes"));
  EXPECT_THAT(refusal(R"({"kty":"EC","crv":"P-384","x":"AA","y":"AA"})"), HasSubstr("neither"));
  EXPECT_THAT(refusal(R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                      R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aA"})"),
              HasSubstr("no point"));
  const std::string zero32 = base64url(std::string(32, 'a'));
  EXPECT_THAT(refusal(R"({"kty":"oct","alg":"HS512","k":")" + zero32 + "\"}"), HasSubstr("'alg'"));
  EXPECT_THAT(refusal(R"({"kty":"oct","use":"enc","k":")" + zero32 + "\"}"), HasSubstr("'use'"));
  EXPECT_THAT(refusal(R"({"kty":"oct","kid":7,"k":")" + zero32 + "\"}"), HasSubstr("'kid'"));
  EXPECT_THAT(refusal(R"({"kty":"oct","k":")" + zero32 + R"(","k":")" + zero32 + "\"}"), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":")" +
                      zero32 + "\"}"),
              HasSubstr("not of one key"));
}

TEST(Keys, ReadsPemAndSecretsAndFolders) {
  const Folder folder;
  folder.put("ed.pem", pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
  folder.put("p256.pem", pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")));
  folder.put("shared.key", "0123456789abcdef0123456789abcdef\n");
  folder.put("two.jwks", R"({"keys":[)" + Key::generate(Algorithm::HS256, "first").to_jwk(Key::Half::Private) + "," +
                             Key::generate(Algorithm::EdDSA, "second").to_jwk(Key::Half::Public) + "]}");
  folder.put("README", "not a key");
  const auto keys = KeySet::load(folder.path);
  ASSERT_TRUE(keys.has_value()) << keys.error().message;
  ASSERT_EQ(keys->all().size(), 5U);
  EXPECT_EQ(keys->find("ed")->algorithm(), Algorithm::EdDSA);
  EXPECT_EQ(keys->find("p256")->algorithm(), Algorithm::ES256);
  EXPECT_EQ(keys->find("shared")->algorithm(), Algorithm::HS256);
  EXPECT_EQ(keys->find("first")->algorithm(), Algorithm::HS256);
  EXPECT_EQ(keys->find("second")->algorithm(), Algorithm::EdDSA);
  EXPECT_EQ(keys->find("../../dev/null"), nullptr);
}

TEST(Keys, SaysWhichFileIsWrong) {
  const Folder folder;
  const auto refusal = [](const std::string& path) {
    const auto keys = KeySet::load(path);
    return keys ? std::string("taken") : keys.error().message;
  };
  EXPECT_THAT(refusal(folder.path / "missing.jwk"), HasSubstr("missing.jwk cannot be read"));
  EXPECT_THAT(refusal(folder.path), HasSubstr("no file of keys"));
  EXPECT_THAT(refusal(folder.put("short.key", "secret")), HasSubstr("short.key: it has 6 bytes"));
  EXPECT_THAT(refusal(folder.put("rsa.pem", pem_of(EVP_RSA_gen(2048)))), HasSubstr("rsa.pem: it is neither"));
  EXPECT_THAT(refusal(folder.put("p384.pem", pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384")))),
              HasSubstr("neither"));
  EXPECT_THAT(refusal(folder.put("bad.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")),
              HasSubstr("no key in PEM"));
  EXPECT_THAT(refusal(folder.put("big.json", std::string(70'000, ' '))), HasSubstr("at most"));
  const std::string unnamed = R"({"kty":"oct","k":")" + base64url(std::string(32, 'a')) + "\"}";
  EXPECT_THAT(refusal(folder.put("set.json", R"({"keys":[)" + unnamed + "," + unnamed + "]}")),
              HasSubstr("has no 'kid'"));
  const std::string named = Key::generate(Algorithm::HS256, "x").to_jwk(Key::Half::Private);
  EXPECT_THAT(refusal(folder.put("set.json", R"({"keys":[)" + named + "," + named + "]}")), HasSubstr("two keys"));
}

TEST(Secrets, AreComparedWhole) {
  EXPECT_TRUE(equal_secrets("abc", "abc"));
  EXPECT_FALSE(equal_secrets("abc", "abd"));
  EXPECT_FALSE(equal_secrets("abc", "ab"));
  EXPECT_TRUE(equal_secrets("", ""));
  EXPECT_EQ(random_secret(16).size(), 22U);
  EXPECT_NE(random_secret(16), random_secret(16));
}

}  // namespace
}  // namespace jamsocket::auth
