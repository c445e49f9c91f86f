// wasm/compiler.hpp
//
// Who compiles modules, when it is not this process.

#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wasm/engine.hpp"

namespace jamsocket::wasm {

class Compiler {
 public:
  virtual ~Compiler() = default;
  /// Thread-safe; may take as long as its own limits allow.
  ///
  /// @param module  what Engine::compile takes.
  /// @param engine  the options of the engine that will run it.
  /// @return what Engine::compile gives: native code, so trust it as far as you trust this compiler.
  /// @error Malformed     the module is not valid; the message says why.
  /// @error LimitReached  it took too long or too much memory; the message names the limit.
  /// @error Io            the compiler could not be run.
  [[nodiscard]] virtual Result<std::string> compile(std::string_view module, const EngineOptions& engine) const = 0;
};

}  // namespace jamsocket::wasm
