// fuzz/wasm_generator.hpp
//
// Makes valid WebAssembly modules out of any bytes: each byte is a choice, and what a module does can be seen from
// outside, by what it tells its host, what it returns and what it leaves in its memory.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jamsocket::fuzz {

/// The names of the module `env`, from which modules import.
inline constexpr std::string_view kReport = "report";  ///< A function (i32, i64).
inline constexpr std::string_view kBase = "base";      ///< An immutable i32.
inline constexpr std::string_view kShared = "shared";  ///< A mutable i64.

/// Bytes that decide; zeros once they are used up.
class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint32_t below(std::uint32_t bound);
  [[nodiscard]] bool maybe() { return below(2) == 1; }
  /// `count` bytes as they are.
  [[nodiscard]] std::string raw(std::size_t count);

 private:
  std::string_view bytes_;
};

struct GeneratedModule {
  std::string bytes;
  std::vector<std::string> functions;  ///< Exported ones, to be called with zeros.
  std::vector<std::string> readers;  ///< Exported ones that answer a mutable global each, in index order; may be none.
  bool exports_memory = false;       ///< As "memory".
};

[[nodiscard]] GeneratedModule generate_module(std::string_view choices);

}  // namespace jamsocket::fuzz
