#include "cli/module_services.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.hpp"
#include "cli/compile_helper.hpp"
#include "config/assign.hpp"
#include "config/patterns.hpp"
#include "wasm/module.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::json;

CompileLimits compile_limits(const config::CompileSettings& settings) {
  return {.cpu = std::chrono::duration_cast<std::chrono::seconds>(settings.cpu_max),
          .wall = std::chrono::duration_cast<std::chrono::seconds>(settings.wall_max),
          .memory_bytes = settings.memory_bytes_max};
}

// A value as JSON has it, put where the key says. @return what is wrong with it; empty: nothing.
std::string assign_json(const config::Entry& entry, const Json& value, config::Settings& settings) {
  const bool is_beyond = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  if (value.is_number_integer() && !is_beyond) {
    return config::assign_integer(entry, value.get<std::int64_t>(), settings);
  }
  if (value.is_string()) {
    return config::assign_string(entry, value.get<std::string>(), {}, settings);
  }
  if (value.is_array() && std::ranges::all_of(value, [](const Json& element) { return element.is_string(); })) {
    return config::assign_list(entry, value.get<std::vector<std::string>>(), settings);
  }
  return config::wrong_type(entry, is_beyond ? "the number " + value.dump() : value.type_name());
}

std::string known_keys() {
  std::string keys;
  for (const config::Entry& entry : config::entries()) {
    if (entry.scope == config::Scope::Service) {
      keys += (keys.empty() ? "" : ", ") + std::string(config::last_word(entry.key));
    }
  }
  return keys;
}

Result<void> apply_json(std::string_view text, config::Settings& settings) {
  const Json wanted = Json::parse(text, nullptr, false);
  if (!wanted.is_object()) {
    return fail(ErrorCode::InvalidArgument, R"(the body is no JSON object; allowed: {"module": "FILE.wasm", ...})");
  }
  for (const auto& [key, value] : wanted.items()) {
    const config::Entry* entry = config::find_service_entry(key);
    if (entry == nullptr) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("unknown key '{}'; allowed: {}", escape_for_log(key, 80), known_keys()));
    }
    if (std::string wrong = assign_json(*entry, value, settings); !wrong.empty()) {
      return fail(ErrorCode::InvalidArgument, std::move(wrong));
    }
  }
  if (settings.service.module.empty()) {
    return fail(ErrorCode::InvalidArgument, R"(no module is named; allowed: {"module": "FILE.wasm", ...})");
  }
  return {};
}

}  // namespace

std::string cache_folder(const config::Settings& settings) {
  return settings.service.module_cache.empty() ? config::default_module_cache() : settings.service.module_cache;
}

wasm::ModuleLimits module_limits(const config::ModuleLimits& limits) {
  wasm::ModuleLimits result;
  result.memory_bytes_max = limits.room_memory_bytes_max;
  result.table_elements_max = limits.room_table_elements_max;
  result.cpu_per_event = limits.event_cpu_max;
  result.wall_per_event = limits.event_wall_max;
  return result;
}

// Every room's address space is reserved by the same measure: that of the service that needs most.
wasm::EngineOptions engine_options(const config::Loaded& loaded) {
  wasm::EngineOptions options{.memory_bytes_max = loaded.settings.module_limits.room_memory_bytes_max,
                              .stack_bytes_max = loaded.settings.module_limits.room_stack_bytes_max,
                              .table_elements_max = loaded.settings.module_limits.room_table_elements_max};
  for (const config::NamedService& service : loaded.services) {
    const config::ModuleLimits& limits = service.settings.module_limits;
    options.memory_bytes_max = std::max(options.memory_bytes_max, limits.room_memory_bytes_max);
    options.table_elements_max = std::max(options.table_elements_max, limits.room_table_elements_max);
  }
  return options;
}

Result<server::OfferedService> ModuleServices::load(std::string path_name, const std::string& module_file,
                                                    const config::Settings& settings) const {
  const wasm::ModuleLimits limits = module_limits(settings.module_limits);
  if (limits.memory_bytes_max > engine_.options().memory_bytes_max) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("room_memory_bytes_max is {}; allowed: what the server was started with, at most {}",
                            config::format_size(limits.memory_bytes_max),
                            config::format_size(engine_.options().memory_bytes_max)));
  }
  if (limits.table_elements_max > engine_.options().table_elements_max) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("room_table_elements_max is {}; allowed: what the server was started with, at most {}",
                            limits.table_elements_max, engine_.options().table_elements_max));
  }
  const bool apart = settings.compile_apart == "always" || (settings.compile_apart == "services" && !path_name.empty());
  const std::string cache = cache_folder(settings);
  const auto compiler = apart ? std::make_shared<CompileHelper>(compile_limits(settings.compile)) : nullptr;
  auto module = JAM_TRY(engine_.load_file(module_file, cache, compiler.get()));
  if (module->facts().table_elements_min > limits.table_elements_max) {
    return fail(ErrorCode::TooLarge,
                fmt::format("{}: the module starts with a table of {} elements; room_table_elements_max is {}",
                            module_file, module->facts().table_elements_min, limits.table_elements_max));
  }
  std::string name = path_name.empty() ? std::filesystem::path(module_file).stem().string() : path_name;
  return server::OfferedService{.name = std::move(path_name),
                                .service = wasm::make_module_service(std::move(name), std::move(module), limits,
                                                                     {.cache_dir = cache, .compiler = compiler}),
                                .options = settings.server};
}

Result<std::vector<server::OfferedService>> ModuleServices::load_all(const std::string& module_file) const {
  std::vector<server::OfferedService> services;
  if (!module_file.empty()) {
    services.push_back(JAM_TRY(load({}, module_file, loaded_.settings)));
  }
  for (const config::NamedService& service : loaded_.services) {
    auto offered = load(service.name, service.settings.service.module, service.settings);
    if (!offered) {
      return fail(offered.error().code, fmt::format("service {}: {}", service.name, offered.error().message));
    }
    services.push_back(std::move(*offered));
  }
  return services;
}

Result<server::OfferedService> ModuleServices::make(const std::string& name, std::string_view wanted) {
  config::Settings settings = loaded_.settings;
  settings.service.module.clear();
  settings.server.static_dir.clear();
  JAM_TRY_VOID(apply_json(wanted, settings));
  return load(name, settings.service.module, settings);
}

}  // namespace jamsocket::cli
