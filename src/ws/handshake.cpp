#include "ws/handshake.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace jamsocket::ws {
namespace {

constexpr std::size_t kKeyCharacters = 24;

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

}  // namespace

bool is_handshake_key(std::string_view key) {
  return key.size() == kKeyCharacters && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, kKeyCharacters - 2), is_base64);
}

std::string accept_key(std::string_view key) {
  std::string input(key);
  input += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest.data());
  std::array<unsigned char, 29> text{};  // 28 characters and the zero that OpenSSL adds.
  const int length = EVP_EncodeBlock(text.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {text.begin(), text.begin() + length};
}

}  // namespace jamsocket::ws
