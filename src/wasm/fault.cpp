#include "wasm/fault.hpp"

#include <cxxabi.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

namespace jamsocket::wasm {
namespace {

using service::Outcome;

constexpr std::size_t kNameBytesMax = 160;

struct Free {
  void operator()(char* text) const { std::free(text); }
};

// Rust's older mangling is C++'s, with a hash behind and with what no C++ name can have as escapes.
void unescape_rust(std::string& name) {
  constexpr std::size_t kHashBytes = 19;  // ::h and 16 digits
  if (name.size() > kHashBytes && name.compare(name.size() - kHashBytes, 3, "::h") == 0 &&
      name.find_first_not_of("0123456789abcdef", name.size() - 16) == std::string::npos) {
    name.resize(name.size() - kHashBytes);
  }
  constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {{"$LT$", "<"},  {"$GT$", ">"},  {"$RF$", "&"},
                                                                        {"$BP$", "*"},  {"$C$", ","},   {"$u20$", " "},
                                                                        {"$u7b$", "{"}, {"$u7d$", "}"}, {"..", "::"}};
  for (const auto& [escape, text] : kEscapes) {
    for (std::size_t at = name.find(escape); at != std::string::npos; at = name.find(escape, at + text.size())) {
      name.replace(at, escape.size(), text);
    }
  }
}

// A name as its author wrote it. Names of linkers are often demangled already.
std::string demangled(std::string name) {
  if (const std::size_t suffix = name.find(".llvm."); suffix != std::string::npos) {
    name.resize(suffix);
  }
  if (name.starts_with("_Z")) {
    int status = 0;
    const std::unique_ptr<char, Free> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status));
    if (status == 0 && text != nullptr) {
      name = text.get();
    }
  }
  unescape_rust(name);
  if (name.size() > kNameBytesMax) {
    name.resize(kNameBytesMax);
    name += "...";
  }
  return name;
}

std::string backtrace_of(const wasmtime_error_t* error, const wasm_trap_t* trap) {
  OwnedFrames frames;
  if (trap != nullptr) {
    wasm_trap_trace(trap, &frames.vec);
  } else {
    wasmtime_error_wasm_trace(error, &frames.vec);
  }
  std::string text;
  for (std::size_t i = 0; i < frames.vec.size; ++i) {  // The engine keeps the innermost 20.
    const wasm_frame_t* const frame = frames.vec.data[i];
    const wasm_name_t* const name = wasmtime_frame_func_name(frame);
    text += name != nullptr ? demangled({name->data, name->size})
                            : fmt::format("function {}", wasm_frame_func_index(frame));
    text += '\n';
  }
  return text;
}

std::string_view sentence_of(wasmtime_trap_code_t code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      return "the guest's stack is full (limits.room_stack_bytes_max)";
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return "the guest read or wrote outside its memory";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return "the guest used a table entry that is not there";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
      return "the guest called a null function pointer";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return "the guest called a function pointer of another type";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
      return "an integer division or conversion in the guest overflowed";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
      return "the guest divided an integer by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return "the guest converted a float that fits no integer";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return "the guest gave up (unreachable code, as a panic, an abort or a failed assertion compiles to)";
    default:
      return "the guest trapped";
  }
}

}  // namespace

service::Fault fault_of(const CallState& state, const ModuleLimits& limits, GrowthRefused growth,
                        const wasmtime_error_t* error, const wasm_trap_t* trap) {
  service::Fault fault;
  fault.backtrace = backtrace_of(error, trap);
  wasmtime_trap_code_t code = 0;
  const bool has_code = trap != nullptr && wasmtime_trap_code(trap, &code);
  if (state.failed_with != Outcome::Done) {
    fault.outcome = state.failed_with;
    fault.reason = state.failed_because;
    fault.limit = state.failed_limit;
  } else if (has_code && code == WASMTIME_TRAP_CODE_STACK_OVERFLOW) {
    fault.reason = sentence_of(code);
    fault.limit = Counter::LimitRoomStack;
  } else if (growth == GrowthRefused::Yes) {
    fault.outcome = Outcome::MemoryLimit;
    fault.limit = Counter::LimitRoomMemory;
    fault.reason = fmt::format("the guest's memory could not grow (the limit is {} MiB), and it trapped",
                               limits.memory_bytes_max >> 20U);
  } else if (has_code) {
    fault.reason = sentence_of(code);
  } else {
    fault.reason = trap != nullptr ? message_of(*trap) : message_of(*error);
    std::ranges::replace(fault.reason, '\n', ' ');
  }
  return fault;
}

}  // namespace jamsocket::wasm
