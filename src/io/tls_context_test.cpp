#include "io/tls_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>

#include "io/tls_for_test.hpp"

namespace jamsocket::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kNowMs = kTestNowUnixS * 1000;

std::string error_of(const TlsFiles& files) {
  const auto loaded = TlsContext::load(files, kNowMs);
  return loaded ? "" : loaded.error().message;
}

TEST(TlsContext, LoadsACertificateAndItsKey) {
  const TestFolder folder;
  const auto loaded = TlsContext::load(write_certificate(folder, test_certificate()), kNowMs);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_THAT((*loaded)->warnings(), SizeIs(0));
}

TEST(TlsContext, LoadsTheCertificatesBehindTheFirst) {
  const TestFolder folder;
  CertificateAndKey made = test_certificate();
  made.certificate += test_certificate().certificate;
  const auto loaded = TlsContext::load(write_certificate(folder, made), kNowMs);
  ASSERT_TRUE(loaded) << loaded.error().message;
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs((*loaded)->openssl(), static_cast<void*>(&chain));
  EXPECT_EQ(sk_X509_num(chain), 1);
}

TEST(TlsContext, SaysWhichFileCannotBeRead) {
  const TestFolder folder;
  const TlsFiles good = write_certificate(folder, test_certificate());
  EXPECT_THAT(error_of({.certificate = folder.path("none.pem"), .key = good.key}),
              AllOf(HasSubstr("tls.cert cannot be read"), HasSubstr("none.pem"), HasSubstr("No such file")));
  EXPECT_THAT(error_of({.certificate = good.certificate, .key = folder.path("none.key")}),
              AllOf(HasSubstr("tls.key cannot be read"), HasSubstr("none.key"), HasSubstr("No such file")));
  EXPECT_THAT(error_of({.certificate = folder.path(""), .key = good.key}), HasSubstr("Is a directory"));
}

TEST(TlsContext, SaysWhatIsNotInAFile) {
  const TestFolder folder;
  const TlsFiles good = write_certificate(folder, test_certificate());
  EXPECT_THAT(error_of({.certificate = folder.write("empty", ""), .key = good.key}),
              AllOf(HasSubstr("tls.cert holds no certificate in PEM"), HasSubstr("empty")));
  EXPECT_THAT(error_of({.certificate = good.certificate, .key = good.certificate}),
              AllOf(HasSubstr("tls.key holds no private key in PEM"), HasSubstr("cert.pem")));
  EXPECT_THAT(error_of({.certificate = good.key, .key = good.key}), HasSubstr("tls.cert holds no certificate in PEM"));
  const std::string damaged = test_certificate().certificate + "-----BEGIN CERTIFICATE-----\n!\n";
  EXPECT_THAT(error_of({.certificate = folder.write("damaged.pem", damaged), .key = good.key}),
              AllOf(HasSubstr("damaged behind its first certificate"), HasSubstr("damaged.pem")));
}

TEST(TlsContext, SaysWhenKeyAndCertificateDoNotBelongTogether) {
  const TestFolder folder;
  const TlsFiles good = write_certificate(folder, test_certificate());
  EXPECT_THAT(error_of({.certificate = good.certificate, .key = folder.write("other.pem", test_certificate().key)}),
              AllOf(HasSubstr("do not belong together"), HasSubstr("other.pem"), HasSubstr("cert.pem")));
}

// A key with a password would make OpenSSL ask for it on the terminal.
TEST(TlsContext, RefusesAnEncryptedKey) {
  const TestFolder folder;
  const TlsFiles good = write_certificate(folder, test_certificate());
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  BIO* bio = BIO_new(BIO_s_mem());
  std::string password = "password";
  ASSERT_EQ(PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), nullptr, 0, nullptr, password.data()), 1);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio, &text);
  const std::string file = folder.write("locked.pem", {text, static_cast<std::size_t>(bytes)});
  BIO_free(bio);
  EVP_PKEY_free(key);
  EXPECT_THAT(error_of({.certificate = good.certificate, .key = file}),
              AllOf(HasSubstr("tls.key is encrypted"), HasSubstr("locked.pem"), HasSubstr("without a password")));
}

TEST(TlsContext, WarnsOfDatesAndServesAllTheSame) {
  const TestFolder folder;
  const auto expired = TlsContext::load(
      write_certificate(folder, test_certificate(kTestNowUnixS - 2 * kTestDayS, kTestNowUnixS - 1)), kNowMs);
  ASSERT_TRUE(expired) << expired.error().message;
  ASSERT_THAT((*expired)->warnings(), SizeIs(1));
  EXPECT_THAT((*expired)->warnings().front(), AllOf(HasSubstr("has expired, on Nov 14"), HasSubstr("cert.pem")));
  const auto early = TlsContext::load(
      write_certificate(folder, test_certificate(kTestNowUnixS + 1, kTestNowUnixS + kTestDayS)), kNowMs);
  ASSERT_TRUE(early) << early.error().message;
  ASSERT_THAT((*early)->warnings(), SizeIs(1));
  EXPECT_THAT((*early)->warnings().front(), HasSubstr("is not valid before Nov 14"));
}

TEST(SelfSigned, IsForItsNamesAndAddressesOnly) {
  const CertificateAndKey made = test_certificate();
  BIO* bio = BIO_new_mem_buf(made.certificate.data(), static_cast<int>(made.certificate.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(X509_check_host(certificate, "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate, "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate, "::1", 0), 1);
  EXPECT_EQ(X509_check_host(certificate, "example.com", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ca(certificate), 0);
  X509_free(certificate);
}

TEST(SelfSigned, RefusesAnAddressThatIsNone) {
  const auto made = make_self_signed({.addresses = {"1.2.3"}, .valid_from_unix_s = 0, .valid_until_unix_s = 1});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("1.2.3"));
}

}  // namespace
}  // namespace jamsocket::io
