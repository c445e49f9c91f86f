#include "ws/handshake.hpp"

// The one-shot SHA1() looks its implementation up by name in each call: ten times the hash itself.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>

namespace jamsocket::ws {
std::string accept_key(std::string_view key) {
  std::string input(key);
  input += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA_CTX hash;
  SHA1_Init(&hash);
  SHA1_Update(&hash, input.data(), input.size());
  SHA1_Final(digest.data(), &hash);
  std::array<unsigned char, 29> text{};  // 28 characters and the zero that OpenSSL adds.
  const int length = EVP_EncodeBlock(text.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {text.begin(), text.begin() + length};
}

}  // namespace jamsocket::ws
