// wasm/guest.hpp
//
// One instance of a module with its store: calls into it, and what became of them. Knows no ABI.
//
// A guest that failed a call is broken: its state may be anything. It is never called again.

#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>

#include "service/service.hpp"
#include "wasm/call_state.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/limits.hpp"
#include "wasm/memory_slots.hpp"
#include "wasm/module.hpp"

namespace jamsocket::wasm {

class Guest {
 public:
  /// Makes an instance and runs its start function, if it has one, and `_initialize`, if it has that,
  /// as the event number 0.
  [[nodiscard]] static std::expected<std::unique_ptr<Guest>, service::Fault> instantiate(
      std::shared_ptr<const Module> module, const ModuleLimits& limits, const service::RoomStart& start,
      service::Effects& effects);
  /// An instance as one was when `state` was captured; its start function runs, with no effect, and
  /// `_initialize` does not.
  [[nodiscard]] static std::expected<std::unique_ptr<Guest>, service::Fault> restore(
      std::shared_ptr<const Module> module, const ModuleLimits& limits, const service::RoomStart& start,
      std::string_view state);
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest();

  /// An exported function; its type was checked when the module was loaded.
  [[nodiscard]] std::optional<wasmtime_func_t> function(std::string_view name);
  /// The i32 in memory at the address that an exported i32 global holds, or `offset` bytes behind it.
  [[nodiscard]] std::optional<std::uint32_t> read_constant(std::string_view name, std::uint32_t offset = 0);

  /// The value of an exported i32 global.
  [[nodiscard]] std::optional<std::uint32_t> read_global(std::string_view name);

  /// Budgets start here; what host functions ask for goes to `effects` until `end_event`.
  void begin_event(const service::Event& event, service::Effects& effects);
  /// The same for the room's start, which counts as event number 0.
  void begin_start(const service::RoomStart& start, service::Effects& effects);
  /// Lines of output without an end are logged.
  void end_event();

  /// Calls with i32 arguments. @return false: it failed, see `fault`.
  template <class... Arguments>
  [[nodiscard]] bool call(const wasmtime_func_t& function, Arguments... arguments) {
    std::array<wasmtime_val_raw_t, sizeof...(Arguments) + 1> values{as_raw(arguments)...};
    return run(function, values.data(), values.size());
  }
  /// The same for a function that returns an i32. @return nothing: it failed.
  template <class... Arguments>
  [[nodiscard]] std::optional<std::uint32_t> call_for_u32(const wasmtime_func_t& function, Arguments... arguments) {
    std::array<wasmtime_val_raw_t, sizeof...(Arguments) + 1> values{as_raw(arguments)...};
    if (!run(function, values.data(), values.size())) [[unlikely]] {
      return std::nullopt;
    }
    return static_cast<std::uint32_t>(values[0].i32);
  }

  /// The same for a function that returns an i64.
  [[nodiscard]] std::optional<std::uint64_t> call_for_u64(const wasmtime_func_t& function) {
    wasmtime_val_raw_t value{};
    if (!run(function, &value, 1)) [[unlikely]] {
      return std::nullopt;
    }
    return static_cast<std::uint64_t>(value.i64);
  }

  /// Copies `head`, and `body` behind it, into memory that the guest's allocator gives; nothing at all is
  /// at 0 and not allocated. @return the address, or nothing: it failed.
  [[nodiscard]] std::optional<std::uint32_t> copy_in(const wasmtime_func_t& allocate, std::string_view head,
                                                     std::string_view body = {});

  /// Appends memory and mutable globals to `state`: see `restore`.
  void capture(std::string& state);
  /// The module's own place for short arguments; empty if it has none.
  [[nodiscard]] GuestRange argument_buffer();

  [[nodiscard]] GuestMemory& memory() { return state_.memory; }
  /// For what the adapter itself finds wrong with the guest's answers.
  void fail(service::Outcome outcome, std::string reason);
  [[nodiscard]] const service::Fault& fault() const { return fault_; }

 private:
  Guest(std::shared_ptr<const Module> module, const ModuleLimits& limits, const service::Seed& seed);

  [[nodiscard]] static wasmtime_val_raw_t as_raw(std::uint32_t value) {
    wasmtime_val_raw_t raw;
    raw.i32 = static_cast<std::int32_t>(value);
    return raw;
  }
  [[nodiscard]] bool instantiate();
  [[nodiscard]] bool initialize();
  [[nodiscard]] bool put_back(std::string_view state);
  void begin(std::int64_t time_ms, std::uint64_t number, service::CallMonitor* monitor, service::Effects& effects,
             CallWatch::Budget budget);
  [[nodiscard]] bool run(const wasmtime_func_t& function, wasmtime_val_raw_t* values, std::size_t count);
  void record_failure(ErrorHandle error, TrapHandle trap);
  [[nodiscard]] bool find_memory();

  std::shared_ptr<const Module> module_;
  ModuleLimits limits_;
  CallState state_;
  service::Fault fault_{service::Outcome::Done, {}, {}};
  StoreHandle store_;  // After the state that it points to.
  wasmtime_context_t* context_ = nullptr;
  wasmtime_instance_t instance_{};
  MemorySlot* slot_ = nullptr;  // Of the memory; the store owns it.
};

}  // namespace jamsocket::wasm
