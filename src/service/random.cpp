#include "service/random.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.hpp"

namespace jamsocket::service {

struct EventRandom::Stream {
  Stream() : cipher(EVP_CIPHER_CTX_new()) { JAM_CHECK(cipher != nullptr); }
  ~Stream() { EVP_CIPHER_CTX_free(cipher); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  EVP_CIPHER_CTX* cipher;
};

EventRandom::EventRandom(const Seed& seed, std::uint64_t event_number) : seed_(&seed), event_number_(event_number) {}
EventRandom::~EventRandom() = default;
EventRandom::EventRandom(EventRandom&&) noexcept = default;
EventRandom& EventRandom::operator=(EventRandom&&) noexcept = default;

void EventRandom::fill(std::span<std::byte> out) {
  if (!stream_) {
    stream_ = std::make_unique<Stream>();
    // OpenSSL's IV for chacha20 is the 32-bit counter and the 96-bit nonce, all little-endian.
    std::array<unsigned char, 16> iv{};
    for (std::size_t i = 0; i < 8; ++i) {
      iv[8 + i] = static_cast<unsigned char>(event_number_ >> (8 * i));
    }
    std::array<unsigned char, 32> key{};
    std::memcpy(key.data(), seed_->data(), key.size());
    JAM_CHECK(EVP_EncryptInit_ex(stream_->cipher, EVP_chacha20(), nullptr, key.data(), iv.data()) == 1);
  }
  constexpr std::size_t kChunk = 4096;
  static constexpr std::array<unsigned char, kChunk> kZeros{};
  while (!out.empty()) {
    const std::size_t n = std::min(out.size(), kChunk);
    int written = 0;
    std::array<unsigned char, kChunk> stream{};
    JAM_CHECK(EVP_EncryptUpdate(stream_->cipher, stream.data(), &written, kZeros.data(), static_cast<int>(n)) == 1);
    std::memcpy(out.data(), stream.data(), n);
    out = out.subspan(n);
  }
}

Seed random_seed() {
  std::array<unsigned char, 32> bytes{};
  JAM_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  Seed seed;
  std::memcpy(seed.data(), bytes.data(), seed.size());
  return seed;
}

}  // namespace jamsocket::service
