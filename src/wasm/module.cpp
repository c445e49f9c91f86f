#include "wasm/module.hpp"

#include <fmt/format.h>

#include <cstring>
#include <optional>

#include "wasm/compiled_cache.hpp"
#include "wasm/compiler.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/guest.hpp"
#include "wasm/layout.hpp"
#include "wasm/module_compiled.hpp"
#include "wasm/rewrite.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::size_t kPageBytes = std::size_t{64} << 10U;

std::string first_line(std::string text) {
  if (const std::size_t end = text.find('\n'); end != std::string::npos) {
    text.resize(end);
  }
  return text;
}

// The engine's errors have causes below the first line, and the cause is what says what is wrong.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c != '\n') {
      line += c;
    } else if (!line.ends_with(' ')) {
      line += ' ';
    }
  }
  return line;
}

Result<ModuleHandle> compile(wasm_engine_t* engine, std::string_view bytes) {
  wasmtime_module_t* module = nullptr;
  const ErrorHandle error(
      wasmtime_module_new(engine, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), &module));
  if (error) {
    return fail(ErrorCode::Malformed, fmt::format("the module is not valid: {}", one_line(message_of(*error))));
  }
  return ModuleHandle(module);
}

Result<std::string> code_of(const wasmtime_module_t& module) {
  OwnedBytes code;
  if (const ErrorHandle error(wasmtime_module_serialize(&module, &code.vec)); error) {
    return fail(ErrorCode::Malformed, fmt::format("the module cannot be kept: {}", one_line(message_of(*error))));
  }
  return std::string(code.vec.data, code.vec.size);
}

Result<ModuleHandle> compile_elsewhere(const Engine& engine, std::string_view bytes, const Compiler& compiler,
                                       std::string& code) {
  code = JAM_TRY(compiler.compile(bytes, engine.options()));
  wasmtime_module_t* module = nullptr;
  const ErrorHandle error(wasmtime_module_deserialize(
      engine.impl().engine.get(), reinterpret_cast<const std::uint8_t*>(code.data()), code.size(), &module));
  if (error) {
    return fail(ErrorCode::Io, fmt::format("the compiler's answer cannot be used: {}", one_line(message_of(*error))));
  }
  return ModuleHandle(module);
}

Result<ModuleHandle> compile_or_load(const Engine& engine, std::string_view bytes,
                                     const std::filesystem::path& cache_dir, const Compiler* compiler) {
  std::optional<CompiledCache> cache;
  std::string key;
  if (!cache_dir.empty()) {
    cache = JAM_TRY(CompiledCache::open(cache_dir));
    key = CompiledCache::key_of(bytes, engine.impl().configuration);
    if (ModuleHandle module = cache->load(engine.impl().engine.get(), key)) {
      return module;
    }
  }
  std::string code;
  ModuleHandle module = JAM_TRY(compiler != nullptr ? compile_elsewhere(engine, bytes, *compiler, code)
                                                    : compile(engine.impl().engine.get(), bytes));
  if (cache && code.empty()) {
    code = code_of(*module).value_or("");
  }
  if (cache && !code.empty()) {
    cache->store(code, key);
  }
  return module;
}

std::string_view version_constant(Abi abi) {
  return abi == Abi::Jamsocket ? "JAMSOCKET_API_VERSION" : "STATEROOM_API_VERSION";
}
std::string_view protocol_constant(Abi abi) {
  return abi == Abi::Jamsocket ? "JAMSOCKET_API_PROTOCOL" : "STATEROOM_API_PROTOCOL";
}

struct Probe {
  AbiVersion version;
  std::optional<GuestRange> argument_buffer;
};

// Where a module wants its arguments, if it says so: the address of an address and a length.
Result<std::optional<GuestRange>> probe_argument_buffer(Guest& guest) {
  constexpr std::string_view kName = "JAMSOCKET_ARGUMENTS";
  if (!guest.read_global(kName)) {
    return std::nullopt;
  }
  const auto address = guest.read_constant(kName);
  const auto length = guest.read_constant(kName, sizeof(std::uint32_t));
  if (!address || !length || guest.memory().range(*address, *length) == nullptr) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("the module's export {} is not the address of an address and a length in its memory", kName));
  }
  return GuestRange{.address = *address, .length = *length};
}

// Makes an instance and drops it again: proves that it can be made, and reads what its constants say.
Result<Probe> probe(const std::shared_ptr<const Module>& module) {
  ModuleLimits limits;
  limits.memory_bytes_max = module->engine().options().memory_bytes_max;
  limits.table_elements_max = module->engine().options().table_elements_max;
  service::Effects effects;
  auto guest = Guest::instantiate(module, limits, {}, effects);
  if (!guest) {
    return fail(ErrorCode::GuestFault, fmt::format("the module cannot be started: {}", guest.error().reason));
  }
  const Abi abi = module->facts().abi.value();
  const auto version = (*guest)->read_constant(version_constant(abi));
  const auto protocol = (*guest)->read_constant(protocol_constant(abi));
  if (!version || !protocol) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("the module's export {} is not the address of a number in its memory",
                            version ? protocol_constant(abi) : version_constant(abi)));
  }
  return Probe{.version = {.version = *version, .protocol = *protocol},
               .argument_buffer = JAM_TRY(probe_argument_buffer(**guest))};
}

}  // namespace

Module::Module(const Engine& engine, ModuleFacts facts, std::string hash)
    : engine_(engine), facts_(std::move(facts)), hash_(std::move(hash)), compiled_(std::make_unique<Compiled>()) {}

Module::~Module() = default;

Result<std::string> Module::compile(const Engine& engine, std::string_view bytes) {
  const ModuleHandle module = JAM_TRY(wasm::compile(engine.impl().engine.get(), bytes));
  return code_of(*module);
}

Result<std::shared_ptr<const Module>> Module::load(const Engine& engine, std::string_view bytes,
                                                   const std::filesystem::path& cache_dir, const Compiler* compiler) {
  const ModuleLayout layout = JAM_TRY(read_layout(bytes));
  JAM_TRY_VOID(obstacles_to_capture(bytes, layout));  // For its errors: code that cannot be read.
  ModuleFacts facts = inspect(bytes, layout);
  if (!facts.problems.empty()) {
    return fail(ErrorCode::InvalidArgument, facts.problems.front());
  }
  const std::size_t memory_bytes_max = engine.options().memory_bytes_max;
  if (facts.memory_pages_min > memory_bytes_max / kPageBytes) {
    return fail(ErrorCode::TooLarge,
                fmt::format("the module starts with {} pages of memory; a room may have {} ({} MiB)",
                            facts.memory_pages_min, memory_bytes_max / kPageBytes, memory_bytes_max >> 20U));
  }
  if (facts.table_elements_min > engine.options().table_elements_max) {
    return fail(ErrorCode::TooLarge, fmt::format("the module starts with a table of {} elements; a room may have {}",
                                                 facts.table_elements_min, engine.options().table_elements_max));
  }
  // make_shared cannot reach the constructor.
  std::shared_ptr<Module> module(new Module(engine, std::move(facts), sha256_hex({bytes})));
  module->bytes_ = bytes;
  RewrittenModule rewritten = JAM_TRY(export_mutable_globals(bytes, layout));
  module->compiled_->module = JAM_TRY(compile_or_load(engine, rewritten.bytes, cache_dir, compiler));
  module->capturable_globals_ = std::move(rewritten.globals);
  wasmtime_instance_pre_t* instance_pre = nullptr;
  const ErrorHandle error(
      wasmtime_linker_instantiate_pre(engine.impl().linker.get(), module->compiled_->module.get(), &instance_pre));
  if (error) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("the module's imports do not fit: {}", first_line(message_of(*error))));
  }
  module->compiled_->instance_pre.reset(instance_pre);

  const Probe probed = JAM_TRY(probe(module));
  const AbiVersion version = probed.version;
  if (version != kAbiVersion) {
    return fail(
        ErrorCode::Unsupported,
        fmt::format(
            "the module speaks version {}, protocol {} of the {} interface; this server speaks version {}, protocol {}",
            version.version, version.protocol, to_string(*module->facts_.abi), kAbiVersion.version,
            kAbiVersion.protocol));
  }
  module->facts_.version = version;
  module->argument_buffer_ = probed.argument_buffer;
  return module;
}

}  // namespace jamsocket::wasm
