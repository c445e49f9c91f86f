#include "wasm/rewrite.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "wasm/byte_reader.hpp"
#include "wasm/code_scan.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::string_view kNamePrefix = "__jamsocket_global_";

void append_u32(std::string& out, std::size_t value) {
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7fU);
    value >>= 7U;
    out += static_cast<char>(value != 0 ? low | 0x80U : low);
  } while (value != 0);
}

void append_export(std::string& out, std::string_view name, std::uint32_t global_index) {
  append_u32(out, name.size());
  out += name;
  out += static_cast<char>(ExternKind::Global);
  append_u32(out, global_index);
}

const Export* export_of_global(const ModuleLayout& layout, std::uint32_t index) {
  const auto found = std::ranges::find_if(
      layout.exports, [&](const Export& entry) { return entry.kind == ExternKind::Global && entry.index == index; });
  return found != layout.exports.end() ? &*found : nullptr;
}

std::string free_name(const ModuleLayout& layout, std::uint32_t index) {
  std::string name = fmt::format("{}{}", kNamePrefix, index);
  while (layout.find_export(name) != nullptr) {
    name += '_';
  }
  return name;
}

bool holds_number(ValueType type) { return type != ValueType::FuncRef; }

std::string_view payload_of(std::string_view bytes, const SectionRange& section) {
  return bytes.substr(section.payload_begin, section.end - section.payload_begin);
}

// Where an export section goes in a module that has none: behind the last section that comes before it.
std::size_t place_for_exports(std::string_view bytes, const ModuleLayout& layout) {
  constexpr std::size_t kHeaderBytes = 8;
  std::size_t place = kHeaderBytes;
  for (const SectionRange& section : layout.sections) {
    if (section.id != kSectionCustom && section.id < kSectionExport) {
      place = section.end;
    }
  }
  JAM_CHECK(place <= bytes.size());
  return place;
}

}  // namespace

Result<RewrittenModule> export_mutable_globals(std::string_view bytes, const ModuleLayout& layout) {
  RewrittenModule rewritten;
  std::string added;
  std::size_t added_count = 0;
  for (std::uint32_t i = 0; i < layout.globals.size(); ++i) {
    const GlobalType& global = layout.globals[i];
    if (!global.is_mutable || !holds_number(global.type)) {
      continue;
    }
    const std::uint32_t index = layout.imported_globals + i;
    const Export* const exported = export_of_global(layout, index);
    const std::string name = exported != nullptr ? exported->name : free_name(layout, index);
    if (exported == nullptr) {
      append_export(added, name, index);
      ++added_count;
    }
    rewritten.globals.push_back({.export_name = name, .type = global.type});
  }
  if (added_count == 0) {
    rewritten.bytes = bytes;
    return rewritten;
  }

  const auto exports = std::ranges::find(layout.sections, kSectionExport, &SectionRange::id);
  const bool has_exports = exports != layout.sections.end();
  std::string payload;
  append_u32(payload, layout.exports.size() + added_count);
  if (has_exports) {
    ByteReader in(payload_of(bytes, *exports));
    in.u32();  // The number of entries; the entries themselves stay as they are.
    payload += in.take(in.remaining());
  }
  payload += added;

  const std::size_t begin = has_exports ? exports->begin : place_for_exports(bytes, layout);
  const std::size_t end = has_exports ? exports->end : begin;
  rewritten.bytes = bytes.substr(0, begin);
  rewritten.bytes += static_cast<char>(kSectionExport);
  append_u32(rewritten.bytes, payload.size());
  rewritten.bytes += payload;
  rewritten.bytes += bytes.substr(end);
  if (rewritten.bytes.size() > kModuleBytesMax || layout.exports.size() + added_count > LayoutLimits{}.exports) {
    return fail(ErrorCode::TooLarge,
                fmt::format("the module has {} mutable globals, too many beside all else it has", added_count));
  }
  return rewritten;
}

Result<std::vector<std::string>> obstacles_to_capture(std::string_view bytes, const ModuleLayout& layout) {
  std::vector<std::string> obstacles;
  const auto code = std::ranges::find(layout.sections, kSectionCode, &SectionRange::id);
  if (code != layout.sections.end()) {
    const CodeFacts facts = JAM_TRY(scan_code(payload_of(bytes, *code), layout.functions.size()));
    for (const std::string_view name : facts.uncapturable) {
      obstacles.push_back(fmt::format("it uses {}, whose effect is not part of a checkpoint", name));
    }
  } else if (!layout.functions.empty()) {
    return fail(ErrorCode::Malformed, "the module declares functions and has no code section");
  }
  for (const GlobalType& global : layout.globals) {
    if (global.is_mutable && !holds_number(global.type)) {
      obstacles.push_back(
          fmt::format("it has a mutable global of the type {}, which cannot be stored", to_string(global.type)));
    }
  }
  if (layout.imported_memories != 0 || layout.memories.size() > 1) {
    obstacles.emplace_back("it has a memory other than its own, single one");
  }
  if (layout.imported_tables != 0 || layout.imported_globals != 0) {
    obstacles.emplace_back("it imports a table or a global");
  }
  return obstacles;
}

}  // namespace jamsocket::wasm
