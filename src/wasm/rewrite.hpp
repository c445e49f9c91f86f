// wasm/rewrite.hpp
//
// Makes a module's hidden state readable: every mutable global is exported, so that a room's state,
// its memory and its globals, can be taken and put back. Nothing else changes: each section but the
// exports stays as it is, byte for byte.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wasm/layout.hpp"

namespace jamsocket::wasm {

/// A mutable global and the name under which the rewritten module exports it.
struct CapturableGlobal {
  std::string export_name;
  ValueType type = ValueType::I32;
};

struct RewrittenModule {
  std::string bytes;
  std::vector<CapturableGlobal> globals;  ///< All of them, in index order.
};

/// @param bytes, layout  a module and what `read_layout` said of it.
/// @error TooLarge  with the added exports it is over the limits of a module.
[[nodiscard]] Result<RewrittenModule> export_mutable_globals(std::string_view bytes, const ModuleLayout& layout);

/// What of a module's state is in neither memory nor number globals, a sentence each; none: a room of
/// it can be taken and put back.
/// @error Malformed, TooLarge, Unsupported  its code: see `scan_code`.
[[nodiscard]] Result<std::vector<std::string>> obstacles_to_capture(std::string_view bytes, const ModuleLayout& layout);

}  // namespace jamsocket::wasm
