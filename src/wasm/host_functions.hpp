// wasm/host_functions.hpp
//
// Every function that a module may import, in one table: for the linker, and for telling a module's
// author what is unknown before anything runs.
//
// Host functions are the sandbox's edge. Each checks every (pointer, length) in 64 bits against the
// memory's size at that moment, copies before it uses, bounds its own work, and fails the call by a
// trap; no exception crosses the guest's frames.

#pragma once

#include <span>
#include <string>
#include <string_view>

#include "wasm/call_state.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/layout.hpp"

namespace jamsocket::wasm {

struct HostFunction {
  std::string_view module;
  std::string_view name;
  /// One letter a value: i = i32, I = i64, d = f64.
  std::string_view parameters;
  std::string_view results;
  wasmtime_func_unchecked_callback_t callback;
};

/// ABI functions (env), the extension (jamsocket), and WASI preview 1.
[[nodiscard]] std::span<const HostFunction> abi_functions();
[[nodiscard]] std::span<const HostFunction> wasi_functions();

[[nodiscard]] const HostFunction* find_host_function(std::string_view module, std::string_view name);
[[nodiscard]] FunctionType type_of(const HostFunction& function);

/// One call of a host function: its arguments, its result, and the event around it.
class HostCall {
 public:
  HostCall(wasmtime_caller_t* caller, wasmtime_val_raw_t* values)
      : state_(*static_cast<CallState*>(wasmtime_context_get_data(wasmtime_caller_context(caller)))), values_(values) {
    if (!state_.memory.attached()) [[unlikely]] {
      attach_memory(caller);
    }
  }

  [[nodiscard]] CallState& state() { return state_; }
  [[nodiscard]] service::Effects& effects() { return *state_.effects; }
  [[nodiscard]] std::uint32_t u32(std::size_t index) const { return static_cast<std::uint32_t>(values_[index].i32); }
  void result(std::uint32_t value) { values_[0].i32 = static_cast<std::int32_t>(value); }
  void result_i64(std::int64_t value) { values_[0].i64 = value; }

  /// Guest bytes, or null and the call has failed.
  [[nodiscard]] std::byte* bytes(std::uint32_t pointer, std::uint32_t length, std::string_view function);
  /// The same as text; empty and failed() when the range is outside.
  [[nodiscard]] std::string_view text(std::uint32_t pointer, std::uint32_t length, std::string_view function);

  void fail(service::Outcome outcome, std::string reason);
  [[nodiscard]] bool failed() const { return trap_ != nullptr; }
  /// Fails the call unless the effect was taken.
  void check(service::Effects::Push pushed, std::string_view function);
  /// For the engine, which owns it from then on.
  [[nodiscard]] wasm_trap_t* take_trap() { return trap_.release(); }

 private:
  void attach_memory(wasmtime_caller_t* caller);

  CallState& state_;
  wasmtime_val_raw_t* values_;
  TrapHandle trap_;
};

template <void (*Function)(HostCall&)>
wasm_trap_t* host_callback(void* /*environment*/, wasmtime_caller_t* caller, wasmtime_val_raw_t* values,
                           std::size_t /*count*/) noexcept {
  HostCall call(caller, values);
  Function(call);
  return call.take_trap();
}

/// The most random bytes that one call may ask for, so that no host function runs for long.
inline constexpr std::uint32_t kRandomBytesMax = 1U << 20U;

/// Draws from the event's generator.
void fill_random(CallState& state, std::span<std::byte> out);

}  // namespace jamsocket::wasm
