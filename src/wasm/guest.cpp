#include "wasm/guest.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/check.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/fault.hpp"
#include "wasm/module_compiled.hpp"

namespace jamsocket::wasm {
namespace {

using service::Outcome;

constexpr std::uint64_t kNextTick = 1;
constexpr std::int64_t kOneOfEach = 1;

// The engine's clock passed the deadline while the guest ran: on to the next tick, or the end.
wasmtime_error_t* on_tick(wasmtime_context_t* /*context*/, void* data, std::uint64_t* delta,
                          wasmtime_update_deadline_kind_t* kind) {
  auto& state = *static_cast<CallState*>(data);
  const bool within_budget = state.watch.tick();
  const bool may_go_on = within_budget && (!state.watch.runs_long() || state.monitor == nullptr ||
                                           state.monitor->call_runs_long() == service::CallMonitor::Verdict::GoOn);
  if (may_go_on) {
    if (state.watch.needs_exact_ticks()) {
      state.ticker.expect_exact_ticks();
    } else {
      state.ticker.expect_ticks();
    }
    *delta = kNextTick;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return nullptr;
  }
  state.failed_with = Outcome::CpuLimit;
  state.failed_because = within_budget ? "the event took long while the server was stopping or had too many slow ones"
                                       : state.watch.sentence();
  state.failed_limit = within_budget ? std::nullopt : std::optional(state.watch.limit_passed());
  return wasmtime_error_new("ended by the host");
}

}  // namespace

Guest::Guest(std::shared_ptr<const Module> module, const ModuleLimits& limits, const service::Seed& seed)
    : module_(std::move(module)), limits_(limits), state_(limits, seed, module_->engine().impl().ticker) {
  store_.reset(wasmtime_store_new(module_->engine().impl().engine.get(), &state_, nullptr));
  // The memory's size is the slot's affair, where a refusal is seen.
  constexpr std::int64_t kMemoryBySlot = -1;
  constexpr std::int64_t kTablesMax = 16;
  wasmtime_store_limiter(store_.get(), kMemoryBySlot, limits_.table_elements_max, kOneOfEach, kTablesMax, kOneOfEach);
  wasmtime_store_epoch_deadline_callback(store_.get(), on_tick, &state_, nullptr);
  context_ = wasmtime_store_context(store_.get());
}

Guest::~Guest() = default;

std::expected<std::unique_ptr<Guest>, service::Fault> Guest::instantiate(std::shared_ptr<const Module> module,
                                                                         const ModuleLimits& limits,
                                                                         const service::RoomStart& start,
                                                                         service::Effects& effects) {
  JAM_CHECK(limits.memory_bytes_max <= module->engine().options().memory_bytes_max);
  // make_unique cannot reach the constructor.
  std::unique_ptr<Guest> guest(new Guest(std::move(module), limits, start.seed));
  guest->begin_start(start, effects);
  const bool started = guest->instantiate() && guest->initialize();
  guest->end_event();
  if (!started) {
    return std::unexpected(guest->fault());
  }
  return guest;
}

std::expected<std::unique_ptr<Guest>, service::Fault> Guest::restore(std::shared_ptr<const Module> module,
                                                                     const ModuleLimits& limits,
                                                                     const service::RoomStart& start,
                                                                     std::string_view state) {
  JAM_CHECK(limits.memory_bytes_max <= module->engine().options().memory_bytes_max);
  // make_unique cannot reach the constructor.
  std::unique_ptr<Guest> guest(new Guest(std::move(module), limits, start.seed));
  service::Effects nobody_hears;
  guest->begin_start(start, nobody_hears);
  const bool restored = guest->instantiate() && guest->put_back(state);
  guest->end_event();
  if (!restored) {
    return std::unexpected(guest->fault());
  }
  return guest;
}

bool Guest::instantiate() {
  wasm_trap_t* trap = nullptr;
  ErrorHandle error(
      wasmtime_instance_pre_instantiate(module_->compiled().instance_pre.get(), context_, &instance_, &trap));
  if (error || trap != nullptr) {
    record_failure(std::move(error), TrapHandle(trap));
    return false;
  }
  return find_memory();
}

bool Guest::initialize() {
  const auto initialize = function("_initialize");
  return !initialize || call(*initialize);
}

bool Guest::find_memory() {
  constexpr std::string_view kName = "memory";
  wasmtime_extern_t item;
  JAM_CHECK(wasmtime_instance_export_get(context_, &instance_, kName.data(), kName.size(), &item));
  JAM_CHECK(item.kind == WASMTIME_EXTERN_MEMORY);
  state_.memory.attach(context_, item.of.memory);
  wasmtime_extern_delete(&item);
  slot_ = module_->engine().impl().slots.find(state_.memory.base());
  JAM_CHECK(slot_ != nullptr);
  slot_->limit_bytes = limits_.memory_bytes_max;
  slot_->count_in(module_->live_memory_counter());
  if (slot_->size_bytes > slot_->limit_bytes) {
    fail(Outcome::MemoryLimit, fmt::format("the module starts with {} KiB of memory; a room may have {}",
                                           slot_->size_bytes >> 10U, slot_->limit_bytes >> 10U));
    return false;
  }
  return true;
}

std::optional<wasmtime_func_t> Guest::function(std::string_view name) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context_, &instance_, name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  std::optional<wasmtime_func_t> found;
  if (item.kind == WASMTIME_EXTERN_FUNC) {
    found = item.of.func;
  }
  wasmtime_extern_delete(&item);
  return found;
}

std::optional<std::uint32_t> Guest::read_global(std::string_view name) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context_, &instance_, name.data(), name.size(), &item)) {
    return std::nullopt;
  }
  std::optional<std::uint32_t> value;
  if (item.kind == WASMTIME_EXTERN_GLOBAL) {
    wasmtime_val_t content;
    wasmtime_global_get(context_, &item.of.global, &content);
    if (content.kind == WASMTIME_I32) {
      value = static_cast<std::uint32_t>(content.of.i32);
    }
  }
  wasmtime_extern_delete(&item);
  return value;
}

std::optional<std::uint32_t> Guest::read_constant(std::string_view name, std::uint32_t offset) {
  const auto address = read_global(name);
  const std::byte* const at =
      address ? memory().range(*address, offset + static_cast<std::uint32_t>(sizeof(std::uint32_t))) : nullptr;
  if (at == nullptr) {
    return std::nullopt;
  }
  std::uint32_t value = 0;
  std::memcpy(&value, at + offset, sizeof value);
  return value;
}

GuestRange Guest::argument_buffer() {
  const auto& buffer = module_->argument_buffer();
  // Looked at again: nothing says that each instance has as much memory as the one that was looked at.
  const bool is_there = buffer && memory().range(buffer->address, buffer->length) != nullptr;
  return is_there ? *buffer : GuestRange{};
}

void Guest::begin_event(const service::Event& event, service::Effects& effects) {
  state_.in_connect = event.kind == service::EventKind::Connect;
  state_.connect_info = event.connect_info;
  begin(event.time_ms, event.number, event.monitor, effects,
        event.replayed ? CallWatch::Budget::Again : CallWatch::Budget::Once);
}

void Guest::begin_start(const service::RoomStart& start, service::Effects& effects) {
  begin(start.time_ms, 0, start.monitor, effects, CallWatch::Budget::Once);
}

void Guest::begin(std::int64_t time_ms, std::uint64_t number, service::CallMonitor* monitor, service::Effects& effects,
                  CallWatch::Budget budget) {
  JAM_CHECK(fault_.outcome == Outcome::Done);
  state_.effects = &effects;
  state_.time_ms = time_ms;
  state_.event_number = number;
  state_.monitor = monitor;
  state_.random.reset();
  state_.watch.start(budget);
  state_.ticker.expect_ticks();
  if (slot_ != nullptr) {
    slot_->growth_refused = false;
  }
  wasmtime_context_set_epoch_deadline(context_, kNextTick);
}

void Guest::end_event() {
  state_.standard_output.flush(*state_.effects);
  state_.standard_error.flush(*state_.effects);
  state_.effects = nullptr;
  state_.monitor = nullptr;
  state_.connect_info = nullptr;
}

bool Guest::run(const wasmtime_func_t& function, wasmtime_val_raw_t* values, std::size_t count) {
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* const error = wasmtime_func_call_unchecked(context_, &function, values, count, &trap);
  if (error == nullptr && trap == nullptr) [[likely]] {
    return true;
  }
  record_failure(ErrorHandle(error), TrapHandle(trap));
  return false;
}

void Guest::record_failure(ErrorHandle error, TrapHandle trap) {
  const bool refused = slot_ != nullptr && slot_->growth_refused;
  fault_ = fault_of(state_, limits_, refused ? GrowthRefused::Yes : GrowthRefused::No, error.get(), trap.get());
}

std::optional<std::uint32_t> Guest::copy_in(const wasmtime_func_t& allocate, std::string_view head,
                                            std::string_view body) {
  if (head.empty() && body.empty()) {
    return 0;
  }
  const auto length = static_cast<std::uint32_t>(head.size() + body.size());
  JAM_CHECK(length == head.size() + body.size());
  const auto pointer = call_for_u32(allocate, length);
  if (!pointer) {
    return std::nullopt;
  }
  std::byte* const at = *pointer != 0 ? memory().range(*pointer, length) : nullptr;
  if (at == nullptr) [[unlikely]] {
    if (slot_->growth_refused) {
      fail(Outcome::MemoryLimit,
           fmt::format("the guest has no memory left for a message of {} bytes (the limit is {} MiB)", length,
                       limits_.memory_bytes_max >> 20U));
      fault_.limit = Counter::LimitRoomMemory;
    } else {
      fail(Outcome::BadCall,
           fmt::format("the guest's allocator answered {} for {} bytes: not in its memory of {} bytes", *pointer,
                       length, memory().size_bytes()));
    }
    return std::nullopt;
  }
  std::memcpy(at, head.data(), head.size());
  if (!body.empty()) {
    std::memcpy(at + head.size(), body.data(), body.size());
  }
  return pointer;
}

void Guest::fail(Outcome outcome, std::string reason) { fault_ = {outcome, std::move(reason), {}}; }

}  // namespace jamsocket::wasm
