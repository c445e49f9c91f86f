// fuzz/wasm_same.cpp
//
// Promise: a rewritten module does what the module does. It tells its host the same, answers the same, traps at the
// same point with the same amount of work done, and leaves the same memory and globals; and each of its mutable globals
// can be read under the name that the rewriter says.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/layout.hpp"
#include "wasm/rewrite.hpp"
#include "wasm_generator.hpp"

namespace {

using namespace jamsocket;
using fuzz::GeneratedModule;

constexpr std::uint64_t kFuel = 20'000;

wasm::EngineHandle make_engine() {
  wasm_config_t* const config = wasm_config_new();
  wasmtime_config_consume_fuel_set(config, true);  // An end for every loop, at the same instruction each time.
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE);
  wasmtime_config_memory_reservation_set(config, 1U << 20U);
  return wasm::EngineHandle(wasm_engine_new_with_config(config));
}

void append(std::string& text, const void* bytes, std::size_t count) {
  text.append(static_cast<const char*>(bytes), count);
}

wasm_trap_t* on_report(void* story, wasmtime_caller_t* /*caller*/, wasmtime_val_raw_t* values, std::size_t count) {
  JAM_CHECK(count == 2);
  append(*static_cast<std::string*>(story), &values[0].i32, sizeof values[0].i32);
  append(*static_cast<std::string*>(story), &values[1].i64, sizeof values[1].i64);
  return nullptr;
}

// One instance, and all that is to be seen of it.
class Run {
 public:
  Run(wasm_engine_t* engine, std::string_view bytes)
      : store_(wasmtime_store_new(engine, nullptr, nullptr)),
        context_(wasmtime_store_context(store_.get())),
        linker_(wasmtime_linker_new(engine)) {
    wasmtime_module_t* module = nullptr;
    const wasm::ErrorHandle error(
        wasmtime_module_new(engine, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &module));
    module_.reset(module);
    JAM_CHECK(error == nullptr);  // Valid by construction.
    define_imports();
  }

  /// What was told, and which way each call went.
  [[nodiscard]] const std::string& story() const { return story_; }

  void tell_all(const GeneratedModule& generated) {
    refuel();
    wasm_trap_t* trap = nullptr;
    wasm::ErrorHandle error(wasmtime_linker_instantiate(linker_.get(), context_, module_.get(), &instance_, &trap));
    if (!ended_well(std::move(error), wasm::TrapHandle(trap))) {
      return;
    }
    is_there_ = true;
    for (const std::string& name : generated.functions) {
      call(name);
    }
    for (const std::string& name : generated.readers) {
      call(name);
    }
    if (generated.exports_memory) {
      const wasmtime_extern_t memory = find("memory");
      append(story_, wasmtime_memory_data(context_, &memory.of.memory),
             wasmtime_memory_data_size(context_, &memory.of.memory));
    }
  }

  [[nodiscard]] bool is_there() const { return is_there_; }
  /// What an exported function of no arguments answers.
  [[nodiscard]] wasmtime_val_t answer(std::string_view name) {
    refuel();
    const wasmtime_extern_t item = find(name);
    wasmtime_val_t value{};
    wasm_trap_t* trap = nullptr;
    const wasm::ErrorHandle error(wasmtime_func_call(context_, &item.of.func, nullptr, 0, &value, 1, &trap));
    JAM_CHECK(error == nullptr && trap == nullptr);
    return value;
  }
  [[nodiscard]] wasmtime_val_t global(std::string_view name) {
    const wasmtime_extern_t item = find(name);
    JAM_CHECK(item.kind == WASMTIME_EXTERN_GLOBAL);
    wasmtime_val_t value{};
    wasmtime_global_get(context_, &item.of.global, &value);
    return value;
  }

 private:
  void define_imports() {
    wasm_valtype_t* parameters[] = {wasm_valtype_new_i32(), wasm_valtype_new_i64()};
    wasm_valtype_vec_t two;
    wasm_valtype_vec_t none;
    wasm_valtype_vec_new(&two, 2, parameters);
    wasm_valtype_vec_new_empty(&none);
    const wasm::FuncTypeHandle type(wasm_functype_new(&two, &none));
    const wasm::ErrorHandle error(wasmtime_linker_define_func_unchecked(
        linker_.get(), "env", 3, fuzz::kReport.data(), fuzz::kReport.size(), type.get(), on_report, &story_, nullptr));
    JAM_CHECK(error == nullptr);
    define_global(fuzz::kBase, wasm_valtype_new_i32(), WASM_CONST, {.kind = WASMTIME_I32, .of = {.i32 = 77}});
    define_global(fuzz::kShared, wasm_valtype_new_i64(), WASM_VAR, {.kind = WASMTIME_I64, .of = {.i64 = -5}});
  }
  void define_global(std::string_view name, wasm_valtype_t* type, wasm_mutability_t mutability,
                     const wasmtime_val_t& value) {
    wasm_globaltype_t* const global_type = wasm_globaltype_new(type, mutability);
    wasmtime_extern_t item{.kind = WASMTIME_EXTERN_GLOBAL, .of = {}};
    const wasm::ErrorHandle made(wasmtime_global_new(context_, global_type, &value, &item.of.global));
    const wasm::ErrorHandle defined(
        wasmtime_linker_define(linker_.get(), context_, "env", 3, name.data(), name.size(), &item));
    JAM_CHECK(made == nullptr && defined == nullptr);
    wasm_globaltype_delete(global_type);
  }

  void refuel() {
    const wasm::ErrorHandle error(wasmtime_context_set_fuel(context_, kFuel));
    JAM_CHECK(error == nullptr);
  }
  wasmtime_extern_t find(std::string_view name) {
    wasmtime_extern_t item{};
    JAM_CHECK(wasmtime_instance_export_get(context_, &instance_, name.data(), name.size(), &item));
    return item;
  }
  void call(std::string_view name) {
    refuel();
    const wasmtime_extern_t item = find(name);
    // Room for any arguments and any answer; zeros.
    wasmtime_val_raw_t values[2] = {};
    wasm_trap_t* trap = nullptr;
    wasm::ErrorHandle error(wasmtime_func_call_unchecked(context_, &item.of.func, values, 2, &trap));
    if (ended_well(std::move(error), wasm::TrapHandle(trap))) {
      append(story_, &values[0].i64, sizeof values[0].i64);
    }
  }
  bool ended_well(wasm::ErrorHandle error, wasm::TrapHandle trap) {
    std::uint64_t left = 0;
    const wasm::ErrorHandle no_fuel(wasmtime_context_get_fuel(context_, &left));
    append(story_, &left, sizeof left);
    wasmtime_trap_code_t code = 0;
    if (trap != nullptr && wasmtime_trap_code(trap.get(), &code)) {
      append(story_, &code, sizeof code);
    } else if (error != nullptr) {
      story_ += wasm::message_of(*error);
    }
    return error == nullptr && trap == nullptr;
  }

  std::string story_;
  wasm::StoreHandle store_;
  wasmtime_context_t* context_;
  wasm::LinkerHandle linker_;
  wasm::ModuleHandle module_;
  wasmtime_instance_t instance_{};
  bool is_there_ = false;
};

std::uint64_t bits_of(const wasmtime_val_t& value) {
  switch (value.kind) {
    case WASMTIME_I32:
    case WASMTIME_F32:
      return static_cast<std::uint32_t>(value.of.i32);
    default:
      return static_cast<std::uint64_t>(value.of.i64);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const wasm::EngineHandle engine = make_engine();
  const GeneratedModule generated = fuzz::generate_module({reinterpret_cast<const char*>(data), size});
  const auto layout = wasm::read_layout(generated.bytes);
  JAM_CHECK(layout.has_value());
  const auto rewritten = wasm::export_mutable_globals(generated.bytes, *layout);
  JAM_CHECK(rewritten.has_value());

  Run before(engine.get(), generated.bytes);
  before.tell_all(generated);
  Run after(engine.get(), rewritten->bytes);
  after.tell_all(generated);
  JAM_CHECK(before.story() == after.story());

  JAM_CHECK(generated.readers.empty() || generated.readers.size() == rewritten->globals.size());
  for (std::size_t i = 0; after.is_there() && i < generated.readers.size(); ++i) {
    JAM_CHECK(bits_of(after.answer(generated.readers[i])) == bits_of(after.global(rewritten->globals[i].export_name)));
  }
  return 0;
}
