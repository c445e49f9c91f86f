// wasm/engine.hpp
//
// The WebAssembly engine of the process: its configuration, its clock, and loading modules.
//
// An Engine outlives the modules it loaded and their rooms. Thread-safe.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace jamsocket::wasm {

class Compiler;
class Module;

struct EngineOptions {
  /// The most memory that any module's room may be given; a multiple of 64 KiB. That much address
  /// space is reserved for each room.
  std::size_t memory_bytes_max = std::size_t{64} << 20U;
  /// A guest's stack. Threads that run rooms need as much, and some for the host.
  std::size_t stack_bytes_max = std::size_t{256} << 10U;
  /// The most elements of a table that any module's room may be given.
  std::uint32_t table_elements_max = 100'000;
};

class Engine {
 public:
  /// Starts the ticker: a thread that advances the engine's clock each few milliseconds (each one, once
  /// it met a guest), which is how a guest that runs for long is noticed.
  explicit Engine(const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Reads, checks and compiles a module; never on a shard's thread, as it takes 10 ms and more.
  ///
  /// @param cache_dir  where compiled modules are kept, made if it is missing; must belong to this
  ///                   user alone (a compiled module is native code). Empty: nothing is kept.
  /// @param compiler   compiles what is not in the cache; null: this process does, without limits.
  /// @return the module, or one sentence: what was wrong, what is allowed.
  /// @error NotFound, Io  the file cannot be read.
  /// @error Malformed     not a module, cut short, not well-formed, or not valid.
  /// @error Unsupported   a component, a compiled module, a feature or an API version we do not speak.
  /// @error InvalidArgument  an export missing or of the wrong type, an unknown import, no memory.
  /// @error TooLarge      more than 32 MiB, or more memory or larger tables than a room may have.
  /// @error GuestFault    its start function trapped.
  /// @error LimitReached  it could not be compiled within `compiler`'s limits.
  [[nodiscard]] Result<std::shared_ptr<const Module>> load_file(const std::filesystem::path& path,
                                                                const std::filesystem::path& cache_dir,
                                                                const Compiler* compiler = nullptr) const;
  [[nodiscard]] Result<std::shared_ptr<const Module>> load_bytes(std::string_view bytes,
                                                                 const std::filesystem::path& cache_dir,
                                                                 const Compiler* compiler = nullptr) const;

  /// A module's native code for engines with the same options.
  /// @error Malformed  the module is not valid.
  [[nodiscard]] Result<std::string> compile(std::string_view module) const;

  [[nodiscard]] const EngineOptions& options() const { return options_; }
  /// Rooms of modules that are alive.
  [[nodiscard]] std::size_t live_memories() const;

  class Impl;
  /// For the other files of this folder.
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  EngineOptions options_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jamsocket::wasm
