#include "io/self_signed.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>

#include "base/check.hpp"

namespace jamsocket::io {
namespace {

constexpr int kSerialBits = 127;  // At most 20 bytes, and positive: RFC 5280 section 4.1.2.2.

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> made(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return made != nullptr && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  const Owned<BIGNUM> number(BN_new());
  return number != nullptr && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

std::string text_of(BIO* bio) {
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(bytes)};
}

std::string alternative_names(const SelfSignedOptions& options) {
  std::vector<std::string> names;
  names.reserve(options.names.size() + options.addresses.size());
  for (const std::string& name : options.names) {
    names.push_back("DNS:" + name);
  }
  for (const std::string& address : options.addresses) {
    names.push_back("IP:" + address);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace

Result<CertificateAndKey> make_self_signed(const SelfSignedOptions& options) {
  ERR_clear_error();
  const Owned<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Owned<X509> certificate(X509_new());
  JAM_CHECK(key != nullptr && certificate != nullptr);
  X509* made = certificate.get();
  X509_NAME* subject = X509_get_subject_name(made);
  const std::string common_name = options.names.empty() ? "jamsocket" : options.names.front();
  const bool good =
      X509_set_version(made, X509_VERSION_3) == 1 && set_serial(made) &&
      ASN1_TIME_set(X509_getm_notBefore(made), options.valid_from_unix_s) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(made), options.valid_until_unix_s) != nullptr &&
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0) == 1 &&
      X509_set_issuer_name(made, subject) == 1 && X509_set_pubkey(made, key.get()) == 1 &&
      add_extension(made, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(made, NID_key_usage, "critical,digitalSignature") &&
      add_extension(made, NID_ext_key_usage, "serverAuth") &&
      add_extension(made, NID_subject_alt_name, alternative_names(options)) &&
      X509_sign(made, key.get(), EVP_sha256()) != 0;
  if (!good) {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return fail(ErrorCode::InvalidArgument,
                fmt::format("no certificate can be made for {}: {}", alternative_names(options),
                            reason != nullptr ? reason : "unknown reason"));
  }
  const Owned<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  const Owned<BIO> key_pem(BIO_new(BIO_s_mem()));
  JAM_CHECK(certificate_pem != nullptr && key_pem != nullptr && PEM_write_bio_X509(certificate_pem.get(), made) == 1 &&
            PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return CertificateAndKey{.certificate = text_of(certificate_pem.get()), .key = text_of(key_pem.get())};
}

}  // namespace jamsocket::io
