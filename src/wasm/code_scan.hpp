// wasm/code_scan.hpp
//
// Walks through a module's function bodies without running or validating them: how large they are,
// and whether they use what a checkpoint of a room could not put back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::wasm {

/// Beyond, a module is refused before it is compiled: compiling takes time and memory with the size of
/// the largest function.
struct CodeLimits {
  std::uint32_t locals = 10'000;  ///< Of one function, parameters not counted.
  std::size_t body_bytes = std::size_t{2} << 20U;
  std::uint32_t branch_targets = 65'536;  ///< Of one br_table.
  std::uint32_t depth = 4'096;            ///< Of blocks in blocks.
};

struct CodeFacts {
  /// Instructions that change tables or drop segments, as in the text format, each once.
  std::vector<std::string_view> uncapturable;
};

/// @param payload    of the code section.
/// @param functions  how many it must have.
/// @error Malformed    not well-formed.
/// @error TooLarge     beyond CodeLimits.
/// @error Unsupported  an instruction that is not among those accepted.
/// @source WebAssembly core specification 2.0, section 5.4, and the tail call proposal
[[nodiscard]] Result<CodeFacts> scan_code(std::string_view payload, std::size_t functions);

}  // namespace jamsocket::wasm
