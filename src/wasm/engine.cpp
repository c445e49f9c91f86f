#include "wasm/engine.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "base/check.hpp"
#include "base/sanitizers.hpp"
#include "wasm/compiled_cache.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/host_functions.hpp"
#include "wasm/inspect.hpp"
#include "wasm/module.hpp"

// The engine turns faults of guests into traps in its own signal handlers: the sanitizers must leave
// it the signals, and must not take what such a handler does for that of an interrupted thread.
#ifdef JAM_ADDRESS_SANITIZER
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "handle_segv=0:allow_user_segv_handler=1:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:"
         "use_sigaltstack=0";
}
#endif
#ifdef JAM_THREAD_SANITIZER
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "report_signal_unsafe=0"; }
#endif

namespace jamsocket::wasm {
namespace {

constexpr int kTickMilliseconds = 1;

// --- The memory creator: the engine's requests for linear memories, answered from the slots.

// What the engine is told of a memory's room to grow. It asks `grow_memory` only below this, and a
// refusal has to be seen, to tell a guest that ran out of memory from one that is merely wrong. The
// engine's promise to a memory is that growth up to here does not move it, and none ever does.
constexpr std::size_t kCapacityToldBytes = std::size_t{4} << 30U;

std::uint8_t* get_memory(void* environment, std::size_t* size_bytes, std::size_t* capacity_bytes) {
  const auto& slot = *static_cast<const MemorySlot*>(environment);
  *size_bytes = slot.size_bytes;
  *capacity_bytes = kCapacityToldBytes;
  return reinterpret_cast<std::uint8_t*>(slot.base);
}

wasmtime_error_t* grow_memory(void* environment, std::size_t size_bytes) {
  return MemorySlots::grow(*static_cast<MemorySlot*>(environment), size_bytes)
             ? nullptr
             : wasmtime_error_new("over the memory limit");
}

void drop_memory(void* environment) {
  auto& slot = *static_cast<MemorySlot*>(environment);
  slot.pool->give_back(slot);
}

wasmtime_error_t* new_memory(void* environment, const wasm_memorytype_t* /*type*/, std::size_t minimum,
                             std::size_t /*maximum*/, std::size_t reserved_bytes, std::size_t guard_bytes,
                             wasmtime_linear_memory_t* memory) {
  auto& slots = *static_cast<MemorySlots*>(environment);
  JAM_CHECK(reserved_bytes <= slots.shape().reservation_bytes && guard_bytes <= slots.shape().guard_bytes);
  const Result<MemorySlot*> slot = slots.take(minimum);
  if (!slot) {
    return wasmtime_error_new(slot.error().message.c_str());
  }
  *memory = {.env = *slot, .get_memory = get_memory, .grow_memory = grow_memory, .finalizer = drop_memory};
  return nullptr;
}

EngineHandle make_engine(const EngineOptions& options, MemorySlots& slots) {
  ConfigHandle config(wasm_config_new());
  wasm_config_t* const c = config.get();
  wasmtime_config_epoch_interruption_set(c, true);
  wasmtime_config_max_wasm_stack_set(c, options.stack_bytes_max);
  wasmtime_config_memory_may_move_set(c, false);
  wasmtime_config_memory_reservation_set(c, slots.shape().reservation_bytes);
  wasmtime_config_memory_guard_size_set(c, slots.shape().guard_bytes);
  wasmtime_config_memory_reservation_for_growth_set(c, 0);
  wasmtime_memory_creator_t creator{.env = &slots, .new_memory = new_memory, .finalizer = nullptr};
  wasmtime_config_host_memory_creator_set(c, &creator);
  wasmtime_config_memory_init_cow_set(c, false);  // With an own memory creator anything else aborts.
  // Registering unwind tables takes a lock of libgcc's that every C++ throw takes as well.
  wasmtime_config_native_unwind_info_set(c, false);
  // A room is a function of its events: the bits of a NaN must not depend on the processor.
  wasmtime_config_cranelift_nan_canonicalization_set(c, true);
  wasmtime_config_wasm_memory64_set(c, false);
  wasmtime_config_wasm_multi_memory_set(c, false);
  wasmtime_config_wasm_relaxed_simd_set(c, false);
  wasmtime_config_cranelift_opt_level_set(c, WASMTIME_OPT_LEVEL_SPEED);
  EngineHandle engine(wasm_engine_new_with_config(config.release()));
  JAM_CHECK(engine != nullptr);
  return engine;
}

wasm_valkind_t kind_of(ValueType type) {
  switch (type) {
    case ValueType::I64:
      return WASM_I64;
    case ValueType::F64:
      return WASM_F64;
    default:
      return WASM_I32;
  }
}

FuncTypeHandle engine_type_of(const FunctionType& type) {
  const auto fill = [](wasm_valtype_vec_t& out, const std::vector<ValueType>& types) {
    wasm_valtype_vec_new_uninitialized(&out, types.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
      out.data[i] = wasm_valtype_new(kind_of(types[i]));
    }
  };
  wasm_valtype_vec_t parameters;
  wasm_valtype_vec_t results;
  fill(parameters, type.parameters);
  fill(results, type.results);
  return FuncTypeHandle(wasm_functype_new(&parameters, &results));
}

LinkerHandle make_linker(wasm_engine_t* engine) {
  LinkerHandle linker(wasmtime_linker_new(engine));
  for (const auto functions : {abi_functions(), wasi_functions()}) {
    for (const HostFunction& function : functions) {
      const FuncTypeHandle type = engine_type_of(type_of(function));
      const ErrorHandle error(wasmtime_linker_define_func_unchecked(
          linker.get(), function.module.data(), function.module.size(), function.name.data(), function.name.size(),
          type.get(), function.callback, nullptr, nullptr));
      JAM_CHECK(error == nullptr);
    }
  }
  return linker;
}

}  // namespace

Ticker::Ticker(wasm_engine_t* engine) : wake_descriptor_(::eventfd(0, EFD_CLOEXEC)) {
  JAM_CHECK(wake_descriptor_ >= 0);
  thread_ = std::thread([this, engine] { run(engine); });  // Joined by the destructor.
}

Ticker::~Ticker() {
  stopped_.store(true);
  JAM_CHECK(::eventfd_write(wake_descriptor_, 1) == 0);
  wanted_.store(true);
  wanted_.notify_one();
  thread_.join();
  ::close(wake_descriptor_);
}

void Ticker::expect_exact_ticks() {
  met_a_guest_.store(true);
  expect_ticks();
  if (!exact_.load()) {
    JAM_CHECK(::eventfd_write(wake_descriptor_, 1) == 0);
  }
}

void Ticker::run(wasm_engine_t* engine) {
  constexpr int kIdleTicksMax = 200;
  pollfd wait{.fd = wake_descriptor_, .events = POLLIN, .revents = 0};
  int idle_ticks = 0;
  set_exact(false);
  while (!stopped_.load()) {
    if (::poll(&wait, 1, kTickMilliseconds) > 0) {
      eventfd_t calls = 0;
      ::eventfd_read(wake_descriptor_, &calls);
      set_exact(true);
      continue;
    }
    if (exact_.load() && !met_a_guest_.exchange(false)) {
      set_exact(false);
      if (met_a_guest_.load()) {  // By one that still found the ticks exact.
        set_exact(true);
      }
    }
    wasmtime_engine_increment_epoch(engine);
    idle_ticks = wanted_.exchange(false) ? 0 : idle_ticks + 1;
    if (idle_ticks == kIdleTicksMax && !stopped_.load()) {
      asleep_.store(true);
      wanted_.wait(false);
      asleep_.store(false);
      idle_ticks = 0;
    }
  }
}

// With slack, the kernel does not set a timer for us but looks at ours when it is awake anyway.
void Ticker::set_exact(bool exact) {
  constexpr unsigned long kExactSlackNs = 50'000;
  constexpr unsigned long kRelaxedSlackNs = 3'000'000;
  exact_.store(exact);
  ::prctl(PR_SET_TIMERSLACK, exact ? kExactSlackNs : kRelaxedSlackNs, 0UL, 0UL, 0UL);
}

Engine::Impl::Impl(const EngineOptions& options)
    : slots({.reservation_bytes = options.memory_bytes_max}),
      engine(make_engine(options, slots)),
      linker(make_linker(engine.get())),
      configuration(fmt::format("wasmtime {} 1; memory {}; guard {}; stack {}", WASMTIME_VERSION,
                                slots.shape().reservation_bytes, slots.shape().guard_bytes, options.stack_bytes_max)),
      ticker(engine.get()) {}

Engine::Engine(const EngineOptions& options) : options_(options), impl_(std::make_unique<Impl>(options)) {}
Engine::~Engine() = default;

Result<std::shared_ptr<const Module>> Engine::load_file(const std::filesystem::path& path,
                                                        const std::filesystem::path& cache_dir,
                                                        const Compiler* compiler) const {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) {
    return fail(ErrorCode::InvalidArgument, fmt::format("{}: {}", path.string(), error.message()));
  }
  if (size > kModuleBytesMax) {
    return fail(ErrorCode::TooLarge, fmt::format("{}: the module has {} bytes; at most {} are allowed", path.string(),
                                                 size, kModuleBytesMax));
  }
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) {
    const int why = errno;
    return fail(ErrorCode::InvalidArgument, fmt::format("{}: cannot be read: {}", path.string(),
                                                        std::error_code(why, std::generic_category()).message()));
  }
  auto module = load_bytes(bytes, cache_dir, compiler);
  if (!module) {
    return fail(module.error().code, fmt::format("{}: {}", path.string(), module.error().message));
  }
  return module;
}

Result<std::shared_ptr<const Module>> Engine::load_bytes(std::string_view bytes, const std::filesystem::path& cache_dir,
                                                         const Compiler* compiler) const {
  return Module::load(*this, bytes, cache_dir, compiler);
}

Result<std::string> Engine::compile(std::string_view module) const { return Module::compile(*this, module); }

std::size_t Engine::live_memories() const { return impl_->slots.in_use(); }

}  // namespace jamsocket::wasm
