#include "auth/keys.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "auth/base64url.hpp"
#include "auth/strict_json.hpp"
#include "base/check.hpp"
#include "base/log.hpp"

namespace jamsocket::auth {
namespace {

using nlohmann::json;

constexpr std::size_t kSecretBytesMin = 32;  // RFC 7518 section 3.2: not shorter than the hash.
constexpr std::size_t kCoordinateBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kKeysMax = 64;
constexpr std::uintmax_t kFileBytesMax = std::uintmax_t{64} << 10U;
constexpr const char* kCurve = "prime256v1";

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Pair = std::shared_ptr<EVP_PKEY>;
using PairContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_clear_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;

Pair owned(EVP_PKEY* pair) { return {pair, EVP_PKEY_free}; }

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::unexpected<Error> malformed(std::string_view what) { return fail(ErrorCode::Malformed, std::string(what)); }

// A member that holds bytes in base64url, `count` of them.
Result<std::string> bytes_in(const json& jwk, const char* member, std::size_t count) {
  const auto found = jwk.find(member);
  const auto bytes =
      found != jwk.end() && found->is_string() ? from_base64url(found->get_ref<const std::string&>()) : std::nullopt;
  if (!bytes || (count != 0 && bytes->size() != count)) {
    return fail(ErrorCode::Malformed, count != 0 ? fmt::format("its '{}' is not {} bytes in base64url", member, count)
                                                 : fmt::format("its '{}' is not bytes in base64url", member));
  }
  return *bytes;
}

std::string text_in(const json& jwk, const char* member) {
  const auto found = jwk.find(member);
  return found != jwk.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<Pair> ed25519_pair(const json& jwk) {
  const std::string x = JAM_TRY(bytes_in(jwk, "x", kCoordinateBytes));
  if (!jwk.contains("d")) {
    Pair pair = owned(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size()));
    return pair != nullptr ? Result<Pair>(pair) : malformed("its 'x' is no key of Ed25519");
  }
  const std::string d = JAM_TRY(bytes_in(jwk, "d", kCoordinateBytes));
  Pair pair = owned(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(d), d.size()));
  std::string derived(kCoordinateBytes, '\0');
  std::size_t length = derived.size();
  if (pair == nullptr || EVP_PKEY_get_raw_public_key(pair.get(), bytes_of(derived), &length) != 1 || derived != x) {
    return malformed("its 'd' and its 'x' are not of one key");
  }
  return pair;
}

// A point of the curve, found to be one, with its secret number if that is there.
Result<Pair> p256_pair(const json& jwk) {
  const std::string point = std::string("\x04", 1) + JAM_TRY(bytes_in(jwk, "x", kCoordinateBytes)) +
                            JAM_TRY(bytes_in(jwk, "y", kCoordinateBytes));
  const bool has_private = jwk.contains("d");
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  JAM_CHECK(builder != nullptr);
  JAM_CHECK(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, kCurve, 0) == 1);
  JAM_CHECK(OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1);
  Number number;
  if (has_private) {
    const std::string d = JAM_TRY(bytes_in(jwk, "d", kCoordinateBytes));
    number.reset(BN_bin2bn(bytes_of(d), static_cast<int>(d.size()), nullptr));
    JAM_CHECK(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) == 1);
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const PairContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  const bool is_made = EVP_PKEY_fromdata_init(context.get()) == 1 &&
                       EVP_PKEY_fromdata(context.get(), &made, has_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                                         parameters.get()) == 1;
  Pair pair = owned(made);
  const PairContext checking(is_made ? EVP_PKEY_CTX_new_from_pkey(nullptr, made, nullptr) : nullptr);
  const bool is_sound = checking != nullptr && EVP_PKEY_public_check(checking.get()) == 1 &&
                        (!has_private || EVP_PKEY_pairwise_check(checking.get()) == 1);
  ERR_clear_error();
  return is_sound ? Result<Pair>(pair)
                  : malformed("its 'x' and 'y' are no point of P-256, or its 'd' is of another key");
}

// r and s, 32 bytes each, as JSON Web Signatures have them (RFC 7518 section 3.4), into what OpenSSL takes.
std::string to_der(std::string_view signature) {
  const EcSignature pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes_of(signature), kCoordinateBytes, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(signature) + kCoordinateBytes, kCoordinateBytes, nullptr);
  JAM_CHECK(pair != nullptr && r != nullptr && s != nullptr && ECDSA_SIG_set0(pair.get(), r, s) == 1);
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(pair.get(), &der);
  JAM_CHECK(length > 0);
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

std::string from_der(std::string_view der) {
  const unsigned char* at = bytes_of(der);
  const EcSignature pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  JAM_CHECK(pair != nullptr);
  std::string signature(kSignatureBytes, '\0');
  unsigned char* out = bytes_of(signature);
  JAM_CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out, kCoordinateBytes) == kCoordinateBytes);
  JAM_CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out + kCoordinateBytes, kCoordinateBytes) == kCoordinateBytes);
  return signature;
}

std::string hmac_sha256(std::string_view secret, std::string_view message) {
  std::string tag(32, '\0');
  unsigned int length = 0;
  JAM_CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes_of(message), message.size(),
                 bytes_of(tag), &length) != nullptr);
  JAM_CHECK(length == tag.size());
  return tag;
}

// A big-endian number of a pair, padded to a coordinate.
std::string number_of(const EVP_PKEY* pair, const char* name) {
  BIGNUM* raw = nullptr;
  JAM_CHECK(EVP_PKEY_get_bn_param(pair, name, &raw) == 1);
  const Number number(raw);
  std::string bytes(kCoordinateBytes, '\0');
  JAM_CHECK(BN_bn2binpad(number.get(), bytes_of(bytes), kCoordinateBytes) == kCoordinateBytes);
  return bytes;
}

const EVP_MD* digest_of(Algorithm algorithm) { return algorithm == Algorithm::ES256 ? EVP_sha256() : nullptr; }

Result<std::string> read_key_file(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (!error && !file) {
    error.assign(errno, std::generic_category());
  }
  if (error) {
    return fail(ErrorCode::Io,
                fmt::format("{} cannot be read: {}", escape_for_log(path.string(), 300), error.message()));
  }
  if (size > kFileBytesMax) {
    return fail(ErrorCode::TooLarge, fmt::format("{} has {} bytes; a file of keys has at most {}",
                                                 escape_for_log(path.string(), 300), size, kFileBytesMax));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

bool is_key_file(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 5> kEndings{".jwk", ".jwks", ".json", ".pem", ".key"};
  return std::ranges::find(kEndings, path.extension().string()) != kEndings.end();
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::HS256:
      return "HS256";
    case Algorithm::EdDSA:
      return "EdDSA";
    case Algorithm::ES256:
      return "ES256";
  }
  return "unknown";
}

std::optional<Algorithm> parse_algorithm(std::string_view name) {
  for (const Algorithm algorithm : {Algorithm::HS256, Algorithm::EdDSA, Algorithm::ES256}) {
    if (name == to_string(algorithm)) {
      return algorithm;
    }
  }
  return std::nullopt;
}

bool equal_secrets(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string random_secret(std::size_t count) {
  std::string bytes(count, '\0');
  JAM_CHECK(RAND_bytes(bytes_of(bytes), static_cast<int>(count)) == 1);
  return base64url(bytes);
}

Result<Key> Key::from_jwk(std::string_view text, const std::string& default_id) {
  const auto parsed = parse_strict_json(text);
  if (!parsed || !parsed->is_object()) {
    return malformed("it is no JSON object");
  }
  const json& jwk = *parsed;
  const std::string kid = text_in(jwk, "kid");
  if (jwk.contains("kid") && kid.empty()) {
    return malformed("its 'kid' is no text");
  }
  const std::string id = kid.empty() ? default_id : kid;
  const std::string type = text_in(jwk, "kty");
  const std::string curve = text_in(jwk, "crv");
  Result<Key> key = fail(ErrorCode::Unsupported,
                         "it is neither 'oct' (HS256) nor 'OKP' with Ed25519 (EdDSA) nor 'EC' with P-256 (ES256)");
  if (type == "oct") {
    key = from_secret(JAM_TRY(bytes_in(jwk, "k", 0)), id);
  } else if (type == "OKP" && curve == "Ed25519") {
    key = of_pair(JAM_TRY(ed25519_pair(jwk)), jwk.contains("d"), id);
  } else if (type == "EC" && curve == "P-256") {
    key = of_pair(JAM_TRY(p256_pair(jwk)), jwk.contains("d"), id);
  }
  if (key && jwk.contains("alg") && text_in(jwk, "alg") != to_string(key->algorithm())) {
    return fail(ErrorCode::Unsupported, fmt::format("its 'alg' is not {}, which is what a key of its kind is used for",
                                                    to_string(key->algorithm())));
  }
  if (key && jwk.contains("use") && text_in(jwk, "use") != "sig") {
    return fail(ErrorCode::Unsupported, "its 'use' is not 'sig'");
  }
  return key;
}

Result<Key> Key::from_pem(std::string_view text, std::string id) {
  const bool has_private = text.contains("PRIVATE KEY-----");
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  JAM_CHECK(bio != nullptr);
  // An empty passphrase, so that an encrypted key is refused and nobody is asked on a terminal.
  static constexpr char kNoPassphrase[] = "";
  EVP_PKEY* const read = has_private
                             ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>(kNoPassphrase))
                             : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr);
  ERR_clear_error();
  if (read == nullptr) {
    return malformed("it is no key in PEM (an encrypted one cannot be used)");
  }
  return of_pair(owned(read), has_private, std::move(id));
}

Result<Key> Key::from_secret(std::string secret, std::string id) {
  if (secret.size() < kSecretBytesMin) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("it has {} bytes; a secret for HS256 has at least {}", secret.size(), kSecretBytesMin));
  }
  Key key(Algorithm::HS256, std::move(id));
  key.secret_ = std::move(secret);
  key.has_private_ = true;
  return key;
}

Result<Key> Key::of_pair(std::shared_ptr<EVP_PKEY> pair, bool has_private, std::string id) {
  std::array<char, 32> group{};
  const bool is_p256 = EVP_PKEY_is_a(pair.get(), "EC") == 1 &&
                       EVP_PKEY_get_group_name(pair.get(), group.data(), group.size(), nullptr) == 1 &&
                       std::string_view(group.data()) == kCurve;
  if (!is_p256 && EVP_PKEY_is_a(pair.get(), "ED25519") != 1) {
    return fail(ErrorCode::Unsupported, "it is neither a key of Ed25519 (EdDSA) nor of P-256 (ES256)");
  }
  Key key(is_p256 ? Algorithm::ES256 : Algorithm::EdDSA, std::move(id));
  key.pair_ = std::move(pair);
  key.has_private_ = has_private;
  return key;
}

Key Key::generate(Algorithm algorithm, std::string id) {
  if (algorithm == Algorithm::HS256) {
    std::string secret(kSecretBytesMin, '\0');
    JAM_CHECK(RAND_priv_bytes(bytes_of(secret), static_cast<int>(secret.size())) == 1);
    return *from_secret(std::move(secret), std::move(id));
  }
  EVP_PKEY* const made = algorithm == Algorithm::ES256 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kCurve)
                                                       : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  JAM_CHECK(made != nullptr);
  return *of_pair(owned(made), true, std::move(id));
}

bool Key::verify(std::string_view message, std::string_view signature) const {
  if (algorithm_ == Algorithm::HS256) {
    return equal_secrets(hmac_sha256(secret_, message), signature);
  }
  if (signature.size() != kSignatureBytes) {
    return false;
  }
  const std::string given = algorithm_ == Algorithm::ES256 ? to_der(signature) : std::string(signature);
  const DigestContext context(EVP_MD_CTX_new());
  JAM_CHECK(context != nullptr);
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, digest_of(algorithm_), nullptr, pair_.get()) == 1 &&
      EVP_DigestVerify(context.get(), bytes_of(given), given.size(), bytes_of(message), message.size()) == 1;
  ERR_clear_error();
  return good;
}

Result<std::string> Key::sign(std::string_view message) const {
  if (!has_private_) {
    return fail(ErrorCode::Unsupported, "the key has no private half: it can check tokens, not make them");
  }
  if (algorithm_ == Algorithm::HS256) {
    return hmac_sha256(secret_, message);
  }
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t length = 0;
  JAM_CHECK(context != nullptr);
  JAM_CHECK(EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm_), nullptr, pair_.get()) == 1);
  JAM_CHECK(EVP_DigestSign(context.get(), nullptr, &length, bytes_of(message), message.size()) == 1);
  std::string signature(length, '\0');
  JAM_CHECK(EVP_DigestSign(context.get(), bytes_of(signature), &length, bytes_of(message), message.size()) == 1);
  signature.resize(length);
  return algorithm_ == Algorithm::ES256 ? from_der(signature) : signature;
}

std::string Key::to_jwk(Half half) const {
  json jwk{{"kid", id_}, {"alg", std::string(to_string(algorithm_))}, {"use", "sig"}};
  const bool with_private = half == Half::Private && has_private_;
  switch (algorithm_) {
    case Algorithm::HS256:
      jwk["kty"] = "oct";
      jwk["k"] = base64url(secret_);
      break;
    case Algorithm::EdDSA: {
      std::string bytes(kCoordinateBytes, '\0');
      std::size_t length = bytes.size();
      JAM_CHECK(EVP_PKEY_get_raw_public_key(pair_.get(), bytes_of(bytes), &length) == 1);
      jwk["kty"] = "OKP";
      jwk["crv"] = "Ed25519";
      jwk["x"] = base64url(bytes);
      if (with_private) {
        JAM_CHECK(EVP_PKEY_get_raw_private_key(pair_.get(), bytes_of(bytes), &length) == 1);
        jwk["d"] = base64url(bytes);
      }
      break;
    }
    case Algorithm::ES256:
      jwk["kty"] = "EC";
      jwk["crv"] = "P-256";
      jwk["x"] = base64url(number_of(pair_.get(), OSSL_PKEY_PARAM_EC_PUB_X));
      jwk["y"] = base64url(number_of(pair_.get(), OSSL_PKEY_PARAM_EC_PUB_Y));
      if (with_private) {
        jwk["d"] = base64url(number_of(pair_.get(), OSSL_PKEY_PARAM_PRIV_KEY));
      }
      break;
  }
  return jwk.dump();
}

namespace {

Result<void> add_set(KeySet& keys, const json& members, const std::string& stem) {
  if (!members.is_array()) {
    return malformed("its 'keys' is no list");
  }
  std::size_t number = 0;
  for (const json& member : members) {
    ++number;
    auto key = Key::from_jwk(member.dump(), members.size() == 1 ? stem : std::string());
    if (key && key->id().empty()) {
      return fail(ErrorCode::Malformed, fmt::format("its key {} has no 'kid'", number));
    }
    if (!key) {
      return fail(key.error().code, fmt::format("its key {}: {}", number, key.error().message));
    }
    JAM_TRY_VOID(keys.add(*std::move(key)));
  }
  return {};
}

Result<void> add_text(KeySet& keys, const std::filesystem::path& path, std::string text) {
  const std::string stem = path.stem().string();
  if (path.extension() == ".key") {
    while (text.ends_with('\n') || text.ends_with('\r')) {
      text.pop_back();
    }
    return keys.add(JAM_TRY(Key::from_secret(std::move(text), stem)));
  }
  if (path.extension() == ".pem") {
    return keys.add(JAM_TRY(Key::from_pem(text, stem)));
  }
  const auto parsed = parse_strict_json(text);
  if (parsed && parsed->is_object() && parsed->contains("keys")) {
    return add_set(keys, (*parsed)["keys"], stem);
  }
  return keys.add(JAM_TRY(Key::from_jwk(text, stem)));
}

Result<void> add_file(KeySet& keys, const std::filesystem::path& path) {
  const Result<void> added = add_text(keys, path, JAM_TRY(read_key_file(path)));
  if (!added) {
    return fail(added.error().code,
                fmt::format("the key in {}: {}", escape_for_log(path.string(), 300), added.error().message));
  }
  return {};
}

}  // namespace

Result<KeySet> KeySet::load(const std::string& path) {
  KeySet keys;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    JAM_TRY_VOID(add_file(keys, path));
    return keys;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (is_key_file(entry.path())) {
      files.push_back(entry.path());
    }
  }
  if (error || files.empty()) {
    return fail(error ? ErrorCode::Io : ErrorCode::NotFound,
                fmt::format("{} has no file of keys; allowed: .jwk, .jwks, .json, .pem, .key{}{}",
                            escape_for_log(path, 300), error ? ": " : "", error ? error.message() : ""));
  }
  std::ranges::sort(files);
  for (const std::filesystem::path& file : files) {
    JAM_TRY_VOID(add_file(keys, file));
  }
  return keys;
}

Result<void> KeySet::add(Key key) {
  if (find(key.id()) != nullptr) {
    return fail(ErrorCode::AlreadyExists, fmt::format("two keys have the id '{}'", escape_for_log(key.id(), 80)));
  }
  if (keys_.size() == kKeysMax) {
    return fail(ErrorCode::LimitReached, fmt::format("there are more than {} keys", kKeysMax));
  }
  keys_.push_back(std::move(key));
  return {};
}

const Key* KeySet::find(std::string_view id) const {
  const auto found = std::ranges::find(keys_, id, &Key::id);
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace jamsocket::auth
