// wasm/layout.hpp
//
// What a module's bytes declare: types, imports, memories, globals, exports, names. Reads any bytes;
// function bodies are left to the engine.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::wasm {

/// Larger files are refused.
inline constexpr std::size_t kModuleBytesMax = std::size_t{32} << 20U;

/// References to the host's values (externref) are not supported.
enum class ValueType : std::uint8_t { I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c, V128 = 0x7b, FuncRef = 0x70 };
enum class ExternKind : std::uint8_t { Function = 0, Table = 1, Memory = 2, Global = 3 };

/// "i32", ...
[[nodiscard]] std::string_view to_string(ValueType type);
/// "function", ...
[[nodiscard]] std::string_view to_string(ExternKind kind);

struct FunctionType {
  std::vector<ValueType> parameters;
  std::vector<ValueType> results;
  friend bool operator==(const FunctionType&, const FunctionType&) = default;
};

/// As in the text format: "(i32, i32) -> i32".
[[nodiscard]] std::string to_string(const FunctionType& type);

/// Of a memory in pages of 64 KiB, of a table in elements.
struct SizeLimits {
  std::uint64_t min = 0;
  std::optional<std::uint64_t> max;
  bool is_shared = false;
  bool is_64 = false;
};

struct GlobalType {
  ValueType type = ValueType::I32;
  bool is_mutable = false;
};

struct TableType {
  ValueType element = ValueType::FuncRef;
  SizeLimits limits;
};

struct Import {
  std::string module;
  std::string name;
  ExternKind kind = ExternKind::Function;
  std::uint32_t type_index = 0;  ///< Function.
  SizeLimits limits;             ///< Memory.
  TableType table;               ///< Table.
  GlobalType global;             ///< Global.
};

struct Export {
  std::string name;
  ExternKind kind = ExternKind::Function;
  std::uint32_t index = 0;  ///< In the index space of its kind: imports first.
};

/// A section's place in the file.
struct SectionRange {
  std::uint8_t id = 0;
  std::size_t begin = 0;          ///< Of the id byte.
  std::size_t payload_begin = 0;  ///< After the size.
  std::size_t end = 0;
};

enum SectionId : std::uint8_t {
  kSectionCustom = 0,
  kSectionType = 1,
  kSectionImport = 2,
  kSectionFunction = 3,
  kSectionTable = 4,
  kSectionMemory = 5,
  kSectionGlobal = 6,
  kSectionExport = 7,
  kSectionStart = 8,
  kSectionElement = 9,
  kSectionCode = 10,
  kSectionData = 11,
  kSectionDataCount = 12,
};

struct ModuleLayout {
  std::vector<FunctionType> types;
  std::vector<Import> imports;
  std::vector<std::uint32_t> functions;  ///< Type indexes of the defined ones.
  std::vector<TableType> tables;         ///< Defined ones.
  std::vector<SizeLimits> memories;      ///< Defined ones.
  std::vector<GlobalType> globals;       ///< Defined ones.
  std::vector<Export> exports;
  std::optional<std::uint32_t> start_function;
  std::uint32_t imported_functions = 0;
  std::uint32_t imported_tables = 0;
  std::uint32_t imported_memories = 0;
  std::uint32_t imported_globals = 0;
  std::vector<SectionRange> sections;  ///< In file order.
  bool has_names = false;              ///< A "name" custom section: backtraces have function names.
  bool has_command_exports = false;    ///< A function NAME.command_export: built as a WASI command.

  [[nodiscard]] const Export* find_export(std::string_view name) const;
  /// The type of a function in the index space, or null.
  [[nodiscard]] const FunctionType* function_type(std::uint32_t index) const;
  /// The type of a global in the index space, or null.
  [[nodiscard]] const GlobalType* global_type(std::uint32_t index) const;
};

/// Reads the whole file's declarations.
///
/// @param bytes  as read from a file: anything.
/// @error Malformed    not a module, cut short, or not well-formed.
/// @error Unsupported  a component, a compiled module, another version, a feature outside what is accepted.
/// @error TooLarge     over kModuleBytesMax, or over the counts below.
/// @source WebAssembly core specification 2.0, section 5
[[nodiscard]] Result<ModuleLayout> read_layout(std::string_view bytes);

/// How many of each a module may have; beyond, it is refused before it is compiled.
struct LayoutLimits {
  std::uint32_t types = 100'000;
  std::uint32_t functions = 200'000;
  std::uint32_t imports = 1'000;
  std::uint32_t exports = 10'000;
  std::uint32_t globals = 10'000;
  std::uint32_t tables = 16;
  std::uint32_t sections = 4'096;
  std::uint32_t parameters = 1'000;
  std::size_t name_bytes = 4'096;
};

}  // namespace jamsocket::wasm
