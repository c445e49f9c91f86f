// cli/compile_helper.hpp
//
// Modules of strangers are compiled in a process of their own: one that takes too long or needs too
// much memory is ended without the server.
//
// The helper is this program again, with the hidden command `compile-module`: the module on its standard
// input, the code on its standard output. It limits itself before it looks at the first byte.

#pragma once

#include <chrono>
#include <cstddef>

#include "wasm/compiler.hpp"

namespace jamsocket::cli {

struct CompileLimits {
  std::chrono::seconds cpu{30};
  std::chrono::seconds wall{60};
  std::size_t memory_bytes = std::size_t{2} << 30U;  ///< Of address space.
};

class CompileHelper final : public wasm::Compiler {
 public:
  explicit CompileHelper(const CompileLimits& limits) : limits_(limits) {}
  [[nodiscard]] Result<std::string> compile(std::string_view module, const wasm::EngineOptions& engine) const override;

 private:
  CompileLimits limits_;
};

}  // namespace jamsocket::cli
