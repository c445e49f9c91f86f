// auth/keys.hpp
//
// The keys that tokens are signed with. An algorithm belongs to its key: what a token says of itself chooses nothing.
//
// The cryptography is OpenSSL's; immutable once made, and so used by any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct evp_pkey_st;

namespace jamsocket::auth {

/// @source RFC 7518 section 3.1; RFC 8037 section 3.1 (EdDSA, here with Ed25519 only)
enum class Algorithm : std::uint8_t { HS256, EdDSA, ES256 };
[[nodiscard]] std::string_view to_string(Algorithm algorithm);
[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view name);

/// Whether two secrets are the same, in a time that depends on their lengths only.
[[nodiscard]] bool equal_secrets(std::string_view left, std::string_view right);
/// `count` bytes from the operating system, in base64url.
[[nodiscard]] std::string random_secret(std::size_t count);

class Key {
 public:
  enum class Half : std::uint8_t { Public, Private };

  /// One JSON Web Key: `kty` oct (HS256, 32 bytes at least), OKP with Ed25519 (EdDSA), EC with P-256 (ES256).
  /// @param default_id  for a key without `kid`.
  /// @error Malformed, Unsupported  one sentence, without any of the key.
  /// @source RFC 7517 section 4; RFC 7518 section 6; RFC 8037 section 2
  [[nodiscard]] static Result<Key> from_jwk(std::string_view json, const std::string& default_id);
  /// A public or private key in PEM: Ed25519 or P-256.
  [[nodiscard]] static Result<Key> from_pem(std::string_view text, std::string id);
  /// For HS256. @error InvalidArgument  fewer than 32 bytes.
  [[nodiscard]] static Result<Key> from_secret(std::string secret, std::string id);
  [[nodiscard]] static Key generate(Algorithm algorithm, std::string id);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] Algorithm algorithm() const { return algorithm_; }

  /// @param signature  as a JSON Web Signature has it: 32 bytes for HS256, else 64.
  [[nodiscard]] bool verify(std::string_view message, std::string_view signature) const;
  /// @error Unsupported  there is no private half.
  [[nodiscard]] Result<std::string> sign(std::string_view message) const;
  /// A key of HS256 has one half only, which is secret.
  [[nodiscard]] std::string to_jwk(Half half) const;

 private:
  Key(Algorithm algorithm, std::string id) : algorithm_(algorithm), id_(std::move(id)) {}
  [[nodiscard]] static Result<Key> of_pair(std::shared_ptr<evp_pkey_st> pair, bool has_private, std::string id);

  Algorithm algorithm_;
  std::string id_;
  std::string secret_;                 ///< HS256.
  std::shared_ptr<evp_pkey_st> pair_;  ///< The others.
  bool has_private_ = false;
};

class KeySet {
 public:
  /// @param path  a file: a JSON Web Key (.jwk, .json), a set of them ({"keys": [...]}), a key in PEM (.pem) or a
  ///              secret of HS256 (.key: its bytes, but for a line end); or a folder of such files. A key without
  ///              an id of its own is called as its file, without the ending.
  /// @error Io, Malformed, Unsupported, AlreadyExists, LimitReached  the message names the file.
  [[nodiscard]] static Result<KeySet> load(const std::string& path);

  /// @error AlreadyExists, LimitReached
  [[nodiscard]] Result<void> add(Key key);
  /// nullptr: there is none of that id.
  [[nodiscard]] const Key* find(std::string_view id) const;
  [[nodiscard]] const std::vector<Key>& all() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

}  // namespace jamsocket::auth
