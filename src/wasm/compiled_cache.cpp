#include "wasm/compiled_cache.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

#include "base/check.hpp"
#include "base/system.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::size_t kDigestTextBytes = 64;
constexpr std::size_t kFileBytesMax = std::size_t{1} << 30U;
constexpr mode_t kOwnerOnly = 0700;
constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

// The file's bytes, if it is a plain file of ours that nobody else may write.
std::optional<std::string> read_owned(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 || static_cast<std::size_t>(status.st_size) > kFileBytesMax) {
    return std::nullopt;
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (got <= 0) {
      return std::nullopt;
    }
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor, bytes.data(), bytes.size());
    if (put <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

std::string sha256_hex(std::initializer_list<std::string_view> parts) {
  const std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  JAM_CHECK(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  for (const std::string_view part : parts) {
    if (parts.size() > 1) {
      const std::uint64_t size = part.size();
      JAM_CHECK(EVP_DigestUpdate(context.get(), &size, sizeof size) == 1);
    }
    JAM_CHECK(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  }
  std::array<unsigned char, 32> digest{};
  JAM_CHECK(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  std::string text;
  for (const unsigned char byte : digest) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

Result<CompiledCache> CompiledCache::open(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);  // Failing shows at the next step.
  if (::mkdir(folder.c_str(), kOwnerOnly) != 0 && errno != EEXIST) {
    return fail(ErrorCode::Io,
                fmt::format("the folder for compiled modules, {}, cannot be made: {}; --module-cache names another",
                            folder.string(), words_of(errno)));
  }
  struct stat status{};
  if (::lstat(folder.c_str(), &status) != 0) {
    return fail(ErrorCode::Io, fmt::format("the folder for compiled modules, {}, cannot be looked at: {}",
                                           folder.string(), words_of(errno)));
  }
  const char* const wrong = S_ISLNK(status.st_mode)           ? "is a symbolic link"
                            : !S_ISDIR(status.st_mode)        ? "is not a folder"
                            : status.st_uid != ::geteuid()    ? "belongs to another user"
                            : (status.st_mode & kOthers) != 0 ? "is open to other users (it must have mode 0700)"
                                                              : nullptr;
  if (wrong != nullptr) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("the folder for compiled modules, {}, {}", folder.string(), wrong));
  }
  return CompiledCache(folder);
}

std::string CompiledCache::key_of(std::string_view module, std::string_view configuration) {
  return sha256_hex({configuration, module});
}

ModuleHandle CompiledCache::load(wasm_engine_t* engine, const std::string& key) const {
  // A file is the checksum of key and code, then the code: a file under another's name is not taken.
  const std::optional<std::string> file = read_owned(path_of(key));
  if (!file || file->size() < kDigestTextBytes) {
    return nullptr;
  }
  const std::string_view code = std::string_view(*file).substr(kDigestTextBytes);
  if (std::string_view(*file).substr(0, kDigestTextBytes) != sha256_hex({key, code})) {
    return nullptr;
  }
  wasmtime_module_t* module = nullptr;
  const ErrorHandle error(
      wasmtime_module_deserialize(engine, reinterpret_cast<const std::uint8_t*>(code.data()), code.size(), &module));
  return error ? nullptr : ModuleHandle(module);
}

void CompiledCache::store(std::string_view code, const std::string& key) const {
  std::string temporary = (folder_ / (key + ".XXXXXX")).string();
  const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) {
    return;
  }
  const bool written =
      write_all(file.get(), sha256_hex({key, code})) && write_all(file.get(), code) && ::fsync(file.get()) == 0;
  if (!written || ::rename(temporary.c_str(), path_of(key).c_str()) != 0) {
    ::unlink(temporary.c_str());
  }
}

}  // namespace jamsocket::wasm
