#include "wasm/layout.hpp"

#include <simdjson.h>

#include <fmt/format.h>

#include <algorithm>

#include "wasm/byte_reader.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::string_view kMagic{"\0asm", 4};
constexpr std::size_t kHeaderBytes = 8;
constexpr LayoutLimits kLimits;

// Sections by id in the order in which they must come; DataCount stands before Code.
constexpr int order_of(std::uint8_t id) {
  switch (id) {
    case kSectionDataCount:
      return 10;
    case kSectionCode:
      return 11;
    case kSectionData:
      return 12;
    default:
      return id;
  }
}

constexpr std::string_view section_name(std::uint8_t id) {
  constexpr std::string_view kNames[] = {"custom", "type",  "import",  "function", "table", "memory",    "global",
                                         "export", "start", "element", "code",     "data",  "data count"};
  return id < std::size(kNames) ? kNames[id] : "unknown";
}

Result<void> check_header(std::string_view bytes) {
  if (bytes.size() > kModuleBytesMax) {
    return fail(ErrorCode::TooLarge,
                fmt::format("the module has {} bytes; at most {} are allowed", bytes.size(), kModuleBytesMax));
  }
  if (bytes.starts_with("\x7f"
                        "ELF")) {
    return fail(ErrorCode::Unsupported,
                "this is native code or a compiled module (.cwasm), not a WebAssembly module (.wasm)");
  }
  if (!bytes.starts_with(kMagic)) {
    const bool cut = bytes.size() < kMagic.size() && kMagic.starts_with(bytes);
    return fail(ErrorCode::Malformed,
                bytes.empty() ? "the file is empty, not a WebAssembly module"
                : cut         ? "the module is cut short: it ends in its header"
                              : "this is not a WebAssembly module: it does not begin with the bytes 00 61 73 6d");
  }
  if (bytes.size() < kHeaderBytes) {
    return fail(ErrorCode::Malformed, "the module is cut short: it ends in its header");
  }
  const std::string_view version = bytes.substr(4, 4);
  if (version == std::string_view("\x0d\0\1\0", 4)) {
    return fail(ErrorCode::Unsupported, "this is a WebAssembly component; only core modules are supported");
  }
  if (version != std::string_view("\1\0\0\0", 4)) {
    return fail(ErrorCode::Unsupported, "the module has a version of WebAssembly other than 1");
  }
  return {};
}

class LayoutReader {
 public:
  explicit LayoutReader(std::string_view bytes) : bytes_(bytes) {}

  Result<ModuleLayout> read() {
    ByteReader file(bytes_.substr(kHeaderBytes));
    int last_order = 0;
    while (!file.at_end()) {
      SectionRange section;
      section.begin = kHeaderBytes + file.position();
      section.id = file.byte();
      const std::uint32_t size = file.u32();
      section.payload_begin = kHeaderBytes + file.position();
      const std::string_view payload = file.take(size);
      if (!file.ok()) {
        return fail(ErrorCode::Malformed,
                    fmt::format("the module is cut short: it ends in its {} section", section_name(section.id)));
      }
      section.end = kHeaderBytes + file.position();
      if (section.id > kSectionDataCount) {
        return fail(ErrorCode::Unsupported, fmt::format("the module has a section of unknown kind {}", section.id));
      }
      if (section.id != kSectionCustom) {
        if (order_of(section.id) <= last_order) {
          return fail(ErrorCode::Malformed,
                      fmt::format("the module's {} section is out of order or there twice", section_name(section.id)));
        }
        last_order = order_of(section.id);
      }
      JAM_TRY_VOID(count(layout_.sections.size(), kLimits.sections, "sections"));
      layout_.sections.push_back(section);
      JAM_TRY_VOID(read_section(section.id, payload));
    }
    JAM_TRY_VOID(check_indexes());
    return std::move(layout_);
  }

 private:
  [[nodiscard]] static Result<void> count(std::size_t have, std::size_t max, std::string_view what) {
    if (have >= max) {
      return fail(ErrorCode::TooLarge, fmt::format("the module has more than {} {}", max, what));
    }
    return {};
  }

  [[nodiscard]] static std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::Malformed, fmt::format("the module's {} section is not well-formed", what));
  }

  Result<void> read_section(std::uint8_t id, std::string_view payload) {
    ByteReader in(payload);
    switch (id) {
      case kSectionCustom:
        return read_custom(in);
      case kSectionType:
        return read_each(in, id, kLimits.types, [&] { return read_type(in); });
      case kSectionImport:
        return read_each(in, id, kLimits.imports, [&] { return read_import(in); });
      case kSectionFunction:
        return read_each(in, id, kLimits.functions, [&]() -> Result<void> {
          layout_.functions.push_back(in.u32());
          return {};
        });
      case kSectionTable:
        return read_each(in, id, kLimits.tables, [&]() -> Result<void> {
          layout_.tables.push_back(JAM_TRY(read_table_type(in)));
          return {};
        });
      case kSectionMemory:
        return read_each(in, id, kLimits.tables, [&]() -> Result<void> {
          layout_.memories.push_back(JAM_TRY(read_limits(in, kSectionMemory)));
          return {};
        });
      case kSectionGlobal:
        return read_each(in, id, kLimits.globals, [&]() -> Result<void> {
          layout_.globals.push_back(JAM_TRY(read_global_type(in, kSectionGlobal)));
          return skip_constant(in);
        });
      case kSectionExport:
        return read_each(in, id, kLimits.exports, [&] { return read_export(in); });
      case kSectionStart:
        layout_.start_function = in.u32();
        return in.ok() && in.at_end() ? Result<void>{} : Result<void>{malformed("start")};
      default:
        return {};  // Elements, code and data: the engine validates them.
    }
  }

  template <class Read>
  Result<void> read_each(ByteReader& in, std::uint8_t section, std::uint32_t max, Read&& read) {
    const std::uint32_t entries = in.u32();
    if (entries > max) {
      return count(entries, max, section == kSectionMemory ? "memories" : std::string(section_name(section)) + "s");
    }
    for (std::uint32_t i = 0; i < entries && in.ok(); ++i) {
      JAM_TRY_VOID(read());
    }
    if (!in.ok() || !in.at_end()) {
      return malformed(section_name(section));
    }
    return {};
  }

  Result<void> read_custom(ByteReader in) {
    const std::string_view name = in.name();
    if (!in.ok()) {
      return malformed("custom");
    }
    if (name == "name") {
      layout_.has_names = true;
      // A search of the raw section: the names are not needed one by one, and this cannot fail.
      layout_.has_command_exports = in.take(in.remaining()).find(".command_export") != std::string_view::npos;
    }
    return {};
  }

  [[nodiscard]] static Result<ValueType> read_value_type(ByteReader& in, std::uint8_t section) {
    const std::uint8_t byte = in.byte();
    switch (byte) {
      case 0x7f:
      case 0x7e:
      case 0x7d:
      case 0x7c:
      case 0x7b:
      case 0x70:
        return static_cast<ValueType>(byte);
      default:
        if (!in.ok()) {
          return malformed(section_name(section));
        }
        return fail(ErrorCode::Unsupported,
                    fmt::format("the module's {} section uses a type that is not supported (0x{:02x})",
                                section_name(section), byte));
    }
  }

  Result<void> read_type(ByteReader& in) {
    const std::uint8_t form = in.byte();
    if (in.ok() && form != 0x60) {
      return fail(ErrorCode::Unsupported,
                  fmt::format("the module declares a type that is not a function's (0x{:02x})", form));
    }
    FunctionType type;
    for (auto* list : {&type.parameters, &type.results}) {
      const std::uint32_t entries = in.u32();
      if (entries > kLimits.parameters) {
        return count(entries, kLimits.parameters, "parameters or results of a function");
      }
      for (std::uint32_t i = 0; i < entries && in.ok(); ++i) {
        list->push_back(JAM_TRY(read_value_type(in, kSectionType)));
      }
    }
    layout_.types.push_back(std::move(type));
    return {};
  }

  [[nodiscard]] static Result<SizeLimits> read_limits(ByteReader& in, std::uint8_t section) {
    const std::uint8_t flags = in.byte();
    if (flags > 7) {
      return fail(ErrorCode::Unsupported,
                  fmt::format("the module's {} section has limits that are not supported", section_name(section)));
    }
    SizeLimits limits;
    limits.is_shared = (flags & 2U) != 0;
    limits.is_64 = (flags & 4U) != 0;
    limits.min = limits.is_64 ? in.u64() : in.u32();
    if ((flags & 1U) != 0) {
      limits.max = limits.is_64 ? in.u64() : in.u32();
    }
    if (!in.ok()) {
      return malformed(section_name(section));
    }
    if (limits.max && *limits.max < limits.min) {
      return fail(ErrorCode::Malformed,
                  fmt::format("the module's {} section declares a maximum of {} below its minimum of {}",
                              section_name(section), *limits.max, limits.min));
    }
    return limits;
  }

  [[nodiscard]] static Result<TableType> read_table_type(ByteReader& in) {
    TableType table;
    table.element = JAM_TRY(read_value_type(in, kSectionTable));
    table.limits = JAM_TRY(read_limits(in, kSectionTable));
    return table;
  }

  [[nodiscard]] static Result<GlobalType> read_global_type(ByteReader& in, std::uint8_t section) {
    GlobalType global;
    global.type = JAM_TRY(read_value_type(in, section));
    const std::uint8_t mutability = in.byte();
    if (!in.ok() || mutability > 1) {
      return malformed(section_name(section));
    }
    global.is_mutable = mutability == 1;
    return global;
  }

  Result<void> read_import(ByteReader& in) {
    Import import;
    import.module = JAM_TRY(read_name(in, kSectionImport));
    import.name = JAM_TRY(read_name(in, kSectionImport));
    const std::uint8_t kind = in.byte();
    switch (kind) {
      case 0:
        import.type_index = in.u32();
        ++layout_.imported_functions;
        break;
      case 1:
        import.table = JAM_TRY(read_table_type(in));
        ++layout_.imported_tables;
        break;
      case 2:
        import.limits = JAM_TRY(read_limits(in, kSectionImport));
        ++layout_.imported_memories;
        break;
      case 3:
        import.global = JAM_TRY(read_global_type(in, kSectionImport));
        ++layout_.imported_globals;
        break;
      default:
        return fail(ErrorCode::Unsupported, fmt::format("the module imports a thing of unknown kind {}", kind));
    }
    import.kind = static_cast<ExternKind>(kind);
    layout_.imports.push_back(std::move(import));
    return {};
  }

  Result<void> read_export(ByteReader& in) {
    Export entry;
    entry.name = JAM_TRY(read_name(in, kSectionExport));
    const std::uint8_t kind = in.byte();
    entry.index = in.u32();
    if (in.ok() && kind > 3) {
      return fail(ErrorCode::Unsupported, fmt::format("the module exports a thing of unknown kind {}", kind));
    }
    entry.kind = static_cast<ExternKind>(kind);
    layout_.exports.push_back(std::move(entry));
    return {};
  }

  [[nodiscard]] static Result<std::string> read_name(ByteReader& in, std::uint8_t section) {
    const std::string_view name = in.name();
    if (!in.ok() || !simdjson::validate_utf8(name.data(), name.size())) {
      return malformed(section_name(section));
    }
    if (name.size() > kLimits.name_bytes) {
      return fail(ErrorCode::TooLarge, fmt::format("the module has a name of {} bytes; at most {} are allowed",
                                                   name.size(), kLimits.name_bytes));
    }
    return std::string(name);
  }

  // A constant expression: passed over without its value, ended by `end`.
  [[nodiscard]] static Result<void> skip_constant(ByteReader& in) {
    while (in.ok()) {
      switch (in.byte()) {
        case 0x0b:  // end
          return {};
        case 0x41:  // i32.const
          in.skip_signed(32);
          break;
        case 0x42:  // i64.const
          in.skip_signed(64);
          break;
        case 0x43:  // f32.const
          in.take(4);
          break;
        case 0x44:  // f64.const
          in.take(8);
          break;
        case 0x23:  // global.get
        case 0xd2:  // ref.func
          in.u32();
          break;
        case 0xd0:  // ref.null
          in.byte();
          break;
        case 0xfd:  // v128.const
          if (in.u32() != 12) {
            return malformed("global");
          }
          in.take(16);
          break;
        case 0x6a:  // i32.add, sub, mul; i64.add, sub, mul
        case 0x6b:
        case 0x6c:
        case 0x7c:
        case 0x7d:
        case 0x7e:
          break;
        default:
          return malformed("global");
      }
    }
    return malformed("global");
  }

  Result<void> check_indexes() const {
    const auto bad_type = [&](std::uint32_t index) { return index >= layout_.types.size(); };
    if (std::ranges::any_of(layout_.functions, bad_type)) {
      return malformed("function");
    }
    for (const Import& import : layout_.imports) {
      if (import.kind == ExternKind::Function && bad_type(import.type_index)) {
        return malformed("import");
      }
    }
    for (const Export& entry : layout_.exports) {
      const std::size_t have[] = {
          layout_.imported_functions + layout_.functions.size(), layout_.imported_tables + layout_.tables.size(),
          layout_.imported_memories + layout_.memories.size(), layout_.imported_globals + layout_.globals.size()};
      if (entry.index >= have[static_cast<std::size_t>(entry.kind)]) {
        return malformed("export");
      }
    }
    return {};
  }

  std::string_view bytes_;
  ModuleLayout layout_;
};

}  // namespace

std::string_view to_string(ValueType type) {
  switch (type) {
    case ValueType::I32:
      return "i32";
    case ValueType::I64:
      return "i64";
    case ValueType::F32:
      return "f32";
    case ValueType::F64:
      return "f64";
    case ValueType::V128:
      return "v128";
    case ValueType::FuncRef:
      return "funcref";
  }
  return "unknown";
}

std::string_view to_string(ExternKind kind) {
  switch (kind) {
    case ExternKind::Function:
      return "function";
    case ExternKind::Table:
      return "table";
    case ExternKind::Memory:
      return "memory";
    case ExternKind::Global:
      return "global";
  }
  return "unknown";
}

std::string to_string(const FunctionType& type) {
  std::string text = "(";
  for (const ValueType parameter : type.parameters) {
    text.append(text.size() > 1 ? ", " : "").append(to_string(parameter));
  }
  text += ")";
  for (std::size_t i = 0; i < type.results.size(); ++i) {
    text.append(i == 0 ? " -> " : ", ").append(to_string(type.results[i]));
  }
  return text;
}

const Export* ModuleLayout::find_export(std::string_view name) const {
  const auto found = std::ranges::find(exports, name, &Export::name);
  return found != exports.end() ? &*found : nullptr;
}

const FunctionType* ModuleLayout::function_type(std::uint32_t index) const {
  if (index >= imported_functions) {
    const std::size_t defined = index - imported_functions;
    return defined < functions.size() ? &types[functions[defined]] : nullptr;
  }
  for (const Import& import : imports) {
    if (import.kind == ExternKind::Function && index-- == 0) {
      return &types[import.type_index];
    }
  }
  return nullptr;
}

const GlobalType* ModuleLayout::global_type(std::uint32_t index) const {
  if (index >= imported_globals) {
    const std::size_t defined = index - imported_globals;
    return defined < globals.size() ? &globals[defined] : nullptr;
  }
  for (const Import& import : imports) {
    if (import.kind == ExternKind::Global && index-- == 0) {
      return &import.global;
    }
  }
  return nullptr;
}

Result<ModuleLayout> read_layout(std::string_view bytes) {
  JAM_TRY_VOID(check_header(bytes));
  return LayoutReader(bytes).read();
}

}  // namespace jamsocket::wasm
