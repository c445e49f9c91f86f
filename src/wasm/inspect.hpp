// wasm/inspect.hpp
//
// What a module is, in words: for loading it, for refusing it with a clear sentence, and for
// `jamsocket check`. Runs nothing of it, except where it says so.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wasm/layout.hpp"

namespace jamsocket::wasm {

class Engine;

/// The interface between a module and its host; docs/abi.md has both.
enum class Abi : std::uint8_t { Jamsocket, Stateroom };

/// "Jamsocket", ...
[[nodiscard]] std::string_view to_string(Abi abi);

struct AbiVersion {
  std::uint32_t version = 0;
  std::uint32_t protocol = 0;
  friend bool operator==(const AbiVersion&, const AbiVersion&) = default;
};

/// Of either ABI: the only version there is.
inline constexpr AbiVersion kAbiVersion{.version = 1, .protocol = 0};

struct ImportFact {
  std::string module;
  std::string name;
  std::string type;    ///< "(i32, i32, i32)", "memory", ...
  bool known = false;  ///< The host has it, with this type.
};

struct ExportFact {
  std::string name;
  std::string type;
  bool used = false;  ///< The host calls or reads it.
};

struct ModuleFacts {
  std::size_t size_bytes = 0;
  std::optional<Abi> abi;             ///< Unset: it speaks neither.
  std::optional<AbiVersion> version;  ///< Set by `inspect_running` only: its constants are addresses in its memory.
  std::vector<ImportFact> imports;
  std::vector<ExportFact> exports;
  std::uint64_t memory_pages_min = 0;  ///< Of 64 KiB.
  std::optional<std::uint64_t> memory_pages_max;
  std::uint64_t table_elements_min = 0;  ///< Of the largest table.
  bool has_names = false;                ///< Backtraces show function names.
  bool can_save = false;                 ///< Says what a room is made of, for another build of it.
  bool can_load = false;                 ///< Takes in what another build said.
  /// Why a room of it cannot be taken and put back (and so not be durable), one sentence each.
  std::vector<std::string> obstacles_to_capture;
  std::vector<std::string> problems;  ///< One sentence each; any of them means it cannot be served.
  std::vector<std::string> advice;    ///< One sentence each; it runs, but could do better.
};

/// @param bytes, layout  a module and what `read_layout` said of it.
[[nodiscard]] ModuleFacts inspect(std::string_view bytes, const ModuleLayout& layout);

/// The facts of any bytes; what keeps them from being read at all becomes a problem.
[[nodiscard]] ModuleFacts inspect(std::string_view bytes);

/// The same, and: compiles the module and makes one instance of it (its start function runs, within
/// the CPU limit; `initialize` does not) to read its API version. What goes wrong becomes a problem.
[[nodiscard]] ModuleFacts inspect_running(const Engine& engine, std::string_view bytes);

}  // namespace jamsocket::wasm
