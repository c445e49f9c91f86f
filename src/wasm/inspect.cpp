#include "wasm/inspect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "wasm/engine.hpp"
#include "wasm/host_functions.hpp"
#include "wasm/module.hpp"
#include "wasm/rewrite.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::size_t kLargeModuleBytes = std::size_t{1} << 20U;

/// IfItFits: a function of that name and another type is the module's own affair.
enum class Need : std::uint8_t { Required, Optional, IfItFits };

/// An export that the host knows: a function with this type, or a constant when `parameters` is "*".
struct KnownExport {
  std::string_view name;
  std::string_view parameters;
  std::string_view results;
  Need need;
};

constexpr std::string_view kConstant = "*";

constexpr KnownExport kJamsocketExports[] = {
    {"JAMSOCKET_API_VERSION", kConstant, "", Need::Required},
    {"JAMSOCKET_API_PROTOCOL", kConstant, "", Need::Required},
    {"initialize", "ii", "", Need::Required},
    {"jam_malloc", "i", "i", Need::Required},
    {"jam_free", "ii", "", Need::Required},
    {"connect", "i", "", Need::Optional},
    {"disconnect", "i", "", Need::Optional},
    {"message", "iii", "", Need::Optional},
    {"binary", "iii", "", Need::Optional},
    {"timer", "", "", Need::Optional},
    {"_initialize", "", "", Need::Optional},
    {"JAMSOCKET_ARGUMENTS", kConstant, "", Need::Optional},
    {"save", "", "I", Need::IfItFits},
    {"load", "ii", "", Need::IfItFits},
};

constexpr KnownExport kStateroomExports[] = {
    {"STATEROOM_API_VERSION", kConstant, "", Need::Required},
    {"STATEROOM_API_PROTOCOL", kConstant, "", Need::Required},
    {"stateroom_recv", "ii", "", Need::Required},
    {"stateroom_malloc", "i", "i", Need::Required},
    {"stateroom_free", "ii", "", Need::Required},
    {"_initialize", "", "", Need::Optional},
};

std::span<const KnownExport> exports_of(Abi abi) {
  return abi == Abi::Jamsocket ? std::span<const KnownExport>(kJamsocketExports)
                               : std::span<const KnownExport>(kStateroomExports);
}

std::optional<Abi> abi_of(const ModuleLayout& layout) {
  if (layout.find_export("STATEROOM_API_VERSION") != nullptr || layout.find_export("stateroom_recv") != nullptr) {
    return Abi::Stateroom;
  }
  if (layout.find_export("JAMSOCKET_API_VERSION") != nullptr || layout.find_export("initialize") != nullptr) {
    return Abi::Jamsocket;
  }
  return std::nullopt;
}

// What asks for an import that is not there, where its author never wrote that name: AssemblyScript's library.
std::string_view origin_of(std::string_view module, std::string_view name) {
  if (module != "env") {
    return {};
  }
  if (name == "seed" || name.starts_with("crypto.")) {
    return "AssemblyScript's Math.random and crypto ask for it; random bytes come from jamsocket.random";
  }
  if (name == "Date.now" || name == "performance.now") {
    return "AssemblyScript's clock; the time comes from jamsocket.now";
  }
  if (name.starts_with("console.") || name == "trace") {
    return "AssemblyScript's way to log; lines go to jamsocket.log";
  }
  return {};
}

FunctionType type_from(std::string_view parameters, std::string_view results) {
  return type_of({.module = {}, .name = {}, .parameters = parameters, .results = results, .callback = nullptr});
}

std::string describe(const GlobalType& global) {
  return fmt::format("global {}{}", global.is_mutable ? "mut " : "", to_string(global.type));
}

std::string describe_export(const ModuleLayout& layout, const Export& entry) {
  switch (entry.kind) {
    case ExternKind::Function:
      return to_string(*layout.function_type(entry.index));
    case ExternKind::Global:
      return describe(*layout.global_type(entry.index));
    default:
      return std::string(to_string(entry.kind));
  }
}

class Inspector {
 public:
  Inspector(const ModuleLayout& layout, ModuleFacts& facts) : layout_(layout), facts_(facts) {}

  void run() {
    facts_.abi = abi_of(layout_);
    facts_.has_names = layout_.has_names;
    list_imports();
    list_exports();
    if (facts_.abi) {
      check_exports(exports_of(*facts_.abi));
    } else {
      problem(
          "the module exports neither JAMSOCKET_API_VERSION nor STATEROOM_API_VERSION: it is not a service (a C++ "
          "service "
          "needs JAMSOCKET_WASM(Type) and --export of the two constants)");
    }
    check_memory_and_tables();
    check_for_migration();
    advise();
  }

 private:
  void problem(std::string sentence) { facts_.problems.push_back(std::move(sentence)); }

  void list_imports() {
    for (const Import& import : layout_.imports) {
      ImportFact fact{
          .module = import.module, .name = import.name, .type = std::string(to_string(import.kind)), .known = false};
      if (import.kind == ExternKind::Function) {
        const FunctionType& type = layout_.types[import.type_index];
        fact.type = to_string(type);
        const HostFunction* const function = find_host_function(import.module, import.name);
        fact.known = function != nullptr && type_of(*function) == type;
        if (function == nullptr) {
          const std::string_view origin = origin_of(import.module, import.name);
          problem(
              fmt::format("the module imports {}.{}, which this server does not have ({}docs/abi.md lists what it has)",
                          import.module, import.name, origin.empty() ? "" : fmt::format("{}; ", origin)));
        } else if (!fact.known) {
          problem(fmt::format("the module imports {}.{} with the type {}; its type is {}", import.module, import.name,
                              fact.type, to_string(type_of(*function))));
        }
      } else if (import.kind == ExternKind::Memory) {
        problem(fmt::format("the module imports its memory ({}.{}); it must define its own and export it as 'memory'",
                            import.module, import.name));
      } else {
        problem(fmt::format("the module imports the {} {}.{}; only functions can be imported", fact.type, import.module,
                            import.name));
      }
      facts_.imports.push_back(std::move(fact));
    }
  }

  void list_exports() {
    const auto known = facts_.abi ? exports_of(*facts_.abi) : std::span<const KnownExport>{};
    for (const Export& entry : layout_.exports) {
      const auto found = std::ranges::find(known, std::string_view(entry.name), &KnownExport::name);
      const bool used = entry.name == "memory" || (found != known.end() && is_used(*found, entry));
      facts_.exports.push_back({.name = entry.name, .type = describe_export(layout_, entry), .used = used});
    }
  }

  [[nodiscard]] bool is_used(const KnownExport& known, const Export& entry) const {
    return known.need != Need::IfItFits ||
           (entry.kind == ExternKind::Function &&
            *layout_.function_type(entry.index) == type_from(known.parameters, known.results));
  }

  void check_for_migration() {
    for (const KnownExport& known : kJamsocketExports) {
      const Export* const entry = layout_.find_export(known.name);
      if (known.need != Need::IfItFits || entry == nullptr || facts_.abi != Abi::Jamsocket) {
        continue;
      }
      if (is_used(known, *entry)) {
        (known.name == "save" ? facts_.can_save : facts_.can_load) = true;
      } else {
        facts_.advice.push_back(
            fmt::format("its export {} is not called: that of a room that goes to another build has the type {}",
                        known.name, to_string(type_from(known.parameters, known.results))));
      }
    }
  }

  void check_exports(std::span<const KnownExport> known) {
    for (const KnownExport& expected : known) {
      const Export* const entry = layout_.find_export(expected.name);
      if (entry == nullptr) {
        if (expected.need == Need::Required) {
          problem(fmt::format("the module does not export {}", expected.name));
        }
        continue;
      }
      if (expected.need == Need::IfItFits) {
        continue;
      }
      const bool is_constant = expected.parameters == kConstant;
      const ExternKind kind = is_constant ? ExternKind::Global : ExternKind::Function;
      if (entry->kind != kind) {
        problem(fmt::format("the module's export {} is a {}; it must be a {}", expected.name, to_string(entry->kind),
                            to_string(kind)));
      } else if (is_constant) {
        const GlobalType& global = *layout_.global_type(entry->index);
        if (global.type != ValueType::I32) {
          problem(fmt::format("the module's export {} is a {}; it must be a global i32, the address of the number",
                              expected.name, describe(global)));
        }
      } else if (const FunctionType type = type_from(expected.parameters, expected.results);
                 *layout_.function_type(entry->index) != type) {
        problem(fmt::format("the module's export {} has the type {}; it must be {}", expected.name,
                            to_string(*layout_.function_type(entry->index)), to_string(type)));
      }
    }
  }

  void check_memory_and_tables() {
    const Export* const memory = layout_.find_export("memory");
    if (layout_.memories.size() + layout_.imported_memories > 1) {
      problem("the module has several memories; one is supported");
    } else if (memory == nullptr) {
      if (layout_.imported_memories == 0) {
        problem("the module does not export its memory as 'memory'");
      }
    } else if (memory->kind != ExternKind::Memory) {
      problem(fmt::format("the module's export memory is a {}; it must be a memory", to_string(memory->kind)));
    }
    for (const TableType& table : layout_.tables) {
      facts_.table_elements_min = std::max(facts_.table_elements_min, table.limits.min);
    }
    for (const SizeLimits& limits : layout_.memories) {
      facts_.memory_pages_min = limits.min;
      facts_.memory_pages_max = limits.max;
      if (limits.is_64) {
        problem("the module has a 64-bit memory; 32-bit memories are supported");
      }
      if (limits.is_shared) {
        problem("the module has a shared memory; a room has one thread");
      }
    }
  }

  void advise() {
    if (layout_.has_command_exports) {
      facts_.advice.emplace_back(
          "it was built as a WASI command, so that every call sets its libraries up and down again: build it as a "
          "reactor "
          "(-mexec-model=reactor, or link crt1-reactor.o)");
    }
    if (!layout_.has_names) {
      facts_.advice.emplace_back(
          "it has no function names ('name' section), so that backtraces of a trap show numbers");
    }
    if (facts_.size_bytes > kLargeModuleBytes) {
      facts_.advice.push_back(
          fmt::format("it has {} KiB: strip debug information (-Wl,--strip-debug) and build with optimisation",
                      facts_.size_bytes >> 10U));
    }
  }

  const ModuleLayout& layout_;
  ModuleFacts& facts_;
};

}  // namespace

std::string_view to_string(Abi abi) {
  switch (abi) {
    case Abi::Jamsocket:
      return "Jamsocket";
    case Abi::Stateroom:
      return "Stateroom";
  }
  return "unknown";
}

ModuleFacts inspect(std::string_view bytes, const ModuleLayout& layout) {
  ModuleFacts facts;
  facts.size_bytes = bytes.size();
  Inspector(layout, facts).run();
  auto obstacles = obstacles_to_capture(bytes, layout);
  if (obstacles) {
    facts.obstacles_to_capture = std::move(*obstacles);
  } else {
    // Before the others: of a module whose code cannot be read, nothing else is worth a sentence.
    facts.problems.insert(facts.problems.begin(), obstacles.error().message);
  }
  return facts;
}

ModuleFacts inspect(std::string_view bytes) {
  const Result<ModuleLayout> layout = read_layout(bytes);
  if (!layout) {
    ModuleFacts facts;
    facts.size_bytes = bytes.size();
    facts.problems.push_back(layout.error().message);
    return facts;
  }
  return inspect(bytes, *layout);
}

ModuleFacts inspect_running(const Engine& engine, std::string_view bytes) {
  ModuleFacts facts = inspect(bytes);
  if (!facts.problems.empty()) {
    return facts;
  }
  const Result<std::shared_ptr<const Module>> module = engine.load_bytes(bytes, {});
  if (!module) {
    facts.problems.push_back(module.error().message);
    return facts;
  }
  return (*module)->facts();
}

}  // namespace jamsocket::wasm
