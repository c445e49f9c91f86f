// wasm/compiled_cache.hpp
//
// Compiled modules on disk, so that a restart does not compile again.
//
// A compiled module is native code: whoever can write the folder can run code in the server. So the
// folder must belong to this user, be closed to all others and not be reached by a symbolic link;
// each file is checked the same way and carries a checksum, as a half-written file must not be run
// either. Anything amiss with a file means: compile again. The cache never fails a load.

#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wasm/engine_api.hpp"

namespace jamsocket::wasm {

/// SHA-256 over the parts, each preceded by its length, in hexadecimal; of one part: over its bytes alone.
[[nodiscard]] std::string sha256_hex(std::initializer_list<std::string_view> parts);

class CompiledCache {
 public:
  /// @error InvalidArgument  not a folder, a symbolic link, another user's, or open to others.
  /// @error Io               it cannot be made or looked at.
  [[nodiscard]] static Result<CompiledCache> open(const std::filesystem::path& folder);

  /// The name of a module's file: over the module, the engine's version and configuration.
  [[nodiscard]] static std::string key_of(std::string_view module, std::string_view configuration);

  /// The compiled module, or null when there is none that can be trusted.
  [[nodiscard]] ModuleHandle load(wasm_engine_t* engine, const std::string& key) const;
  /// Keeps a compiled module, serialised; readers see all of it or nothing. What fails is passed over.
  void store(std::string_view code, const std::string& key) const;

  [[nodiscard]] std::filesystem::path path_of(const std::string& key) const { return folder_ / (key + ".cwasm"); }

 private:
  explicit CompiledCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path folder_;
};

}  // namespace jamsocket::wasm
