// wasm/module.hpp
//
// A compiled module that was found to be a service: shared by all its rooms, immutable.

#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wasm/inspect.hpp"
#include "wasm/rewrite.hpp"

namespace jamsocket::wasm {

class Compiler;
class Engine;

/// Bytes in a guest's memory.
struct GuestRange {
  std::uint32_t address = 0;
  std::uint32_t length = 0;
};

class Module {
 public:
  /// See Engine::load_bytes.
  [[nodiscard]] static Result<std::shared_ptr<const Module>> load(const Engine& engine, std::string_view bytes,
                                                                  const std::filesystem::path& cache_dir,
                                                                  const Compiler* compiler);
  /// See Engine::compile.
  [[nodiscard]] static Result<std::string> compile(const Engine& engine, std::string_view bytes);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// With abi and version set, and no problems.
  [[nodiscard]] const ModuleFacts& facts() const { return facts_; }
  /// SHA-256 of the module's bytes, in hexadecimal.
  [[nodiscard]] const std::string& hash() const { return hash_; }
  /// As they were loaded.
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] const Engine& engine() const { return engine_; }

  /// The mutable globals, by the names under which instances export them: with the memory, all of a
  /// room's state, unless facts().obstacles_to_capture says otherwise.
  [[nodiscard]] const std::vector<CapturableGlobal>& capturable_globals() const { return capturable_globals_; }

  /// Where the module wants arguments that fit, instead of in memory of its allocator's. Was inside an instance's
  /// memory.
  /// @source docs/abi.md, JAMSOCKET_ARGUMENTS
  [[nodiscard]] const std::optional<GuestRange>& argument_buffer() const { return argument_buffer_; }

  /// The size of all memories of its instances together. Any thread.
  [[nodiscard]] std::uint64_t live_memory_bytes() const { return live_memory_bytes_.load(std::memory_order_relaxed); }
  /// Where its instances count them.
  [[nodiscard]] std::atomic<std::uint64_t>& live_memory_counter() const { return live_memory_bytes_; }

  struct Compiled;
  /// For the other files of this folder.
  [[nodiscard]] const Compiled& compiled() const { return *compiled_; }

 private:
  Module(const Engine& engine, ModuleFacts facts, std::string hash);

  const Engine& engine_;
  ModuleFacts facts_;
  std::string hash_;
  std::string bytes_;
  std::vector<CapturableGlobal> capturable_globals_;
  std::optional<GuestRange> argument_buffer_;
  std::unique_ptr<Compiled> compiled_;
  mutable std::atomic<std::uint64_t> live_memory_bytes_{0};
};

}  // namespace jamsocket::wasm
