// wasm/testing.hpp
//
// For this folder's tests: guests by name, rooms to send events to, and modules made of bytes.

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wasm/engine.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket::wasm::testing {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A module of tests/guests, by name.
inline std::string guest_bytes(const std::string& name) { return read_file(JAMSOCKET_GUESTS_DIR "/" + name + ".wasm"); }
/// A module of examples/, by name.
inline std::string example_bytes(const std::string& name) {
  return read_file(JAMSOCKET_EXAMPLES_DIR "/" + name + ".wasm");
}

/// The module, which must load.
inline std::shared_ptr<const Module> loaded(const Engine& engine, std::string_view bytes) {
  auto module = engine.load_bytes(bytes, {});
  if (!module) {
    ADD_FAILURE() << module.error().message;
    std::abort();
  }
  return *module;
}

/// A room without a server: events in, effects out.
class TestRoom {
 public:
  TestRoom(const Engine& engine, std::string_view bytes, const ModuleLimits& limits = {},
           const service::RoomStart& start = {.room_id = "r"})
      : TestRoom(make_module_service("test", loaded(engine, bytes), limits), start) {}
  explicit TestRoom(std::unique_ptr<service::Service> service, const service::RoomStart& start = {.room_id = "r"})
      : service_(std::move(service)) {
    auto created = service_->create(start, effects);
    if (created) {
      instance_ = std::move(*created);
      start_effects = texts();
    } else {
      start_fault = created.error();
    }
  }

  [[nodiscard]] bool started() const { return instance_ != nullptr; }

  service::Outcome handle(service::Event event) {
    effects.clear();
    event.number = ++number_;
    event.time_ms = time_ms;
    return instance_->handle(event, effects);
  }
  service::Outcome text(std::string_view payload, std::uint32_t client = 1) {
    return handle({.kind = service::EventKind::Text, .client = ClientId{client}, .payload = payload});
  }
  service::Outcome binary(std::string_view payload, std::uint32_t client = 1) {
    return handle({.kind = service::EventKind::Binary, .client = ClientId{client}, .payload = payload});
  }
  service::Outcome connect(std::uint32_t client, const service::ConnectInfo* info = nullptr) {
    return handle({.kind = service::EventKind::Connect, .client = ClientId{client}, .connect_info = info});
  }
  service::Outcome disconnect(std::uint32_t client) {
    return handle({.kind = service::EventKind::Disconnect, .client = ClientId{client}});
  }
  service::Outcome timer() { return handle({.kind = service::EventKind::Timer}); }

  /// The bytes of every effect of the last event, in order.
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const service::Effect& effect : effects.list()) {
      all.emplace_back(effects.bytes_of(effect));
    }
    return all;
  }
  [[nodiscard]] const service::Fault& fault() const { return instance_->fault(); }
  void drop_instance() { instance_.reset(); }

  service::Effects effects;
  std::vector<std::string> start_effects;
  service::Fault start_fault;
  std::int64_t time_ms = 1'700'000'000'000;

 private:
  std::unique_ptr<service::Service> service_;
  std::unique_ptr<service::ServiceInstance> instance_;
  std::uint64_t number_ = 0;
};

inline std::string leb(std::uint64_t value) {
  std::string out;
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7fU);
    value >>= 7U;
    out += static_cast<char>(value != 0 ? low | 0x80U : low);
  } while (value != 0);
  return out;
}

inline std::string named(std::string_view text) { return leb(text.size()) + std::string(text); }

/// A module put together section by section, to leave out or bend any part of it.
class ModuleBuilder {
 public:
  /// Letters as in HostFunction: "ii" to "i". @return the type's index.
  std::uint32_t type(std::string_view parameters, std::string_view results) {
    std::string bytes = "\x60";
    for (const std::string_view list : {parameters, results}) {
      bytes += leb(list.size());
      for (const char letter : list) {
        bytes += letter == 'I' ? '\x7e' : letter == 'd' ? '\x7c' : '\x7f';
      }
    }
    types_.push_back(bytes);
    return static_cast<std::uint32_t>(types_.size() - 1);
  }
  void import(std::string_view module, std::string_view name, std::string_view description) {
    imports_.push_back(named(module) + named(name) + std::string(description));
  }
  void import_function(std::string_view module, std::string_view name, std::string_view parameters,
                       std::string_view results) {
    import(module, name, std::string(1, '\0') + leb(type(parameters, results)));
    ++imported_functions_;
  }
  /// @param body  instructions without the final `end`. @return the function's index.
  std::uint32_t function(std::string_view parameters, std::string_view results, std::string_view body) {
    functions_.push_back(leb(type(parameters, results)));
    const std::string code = std::string(1, '\0') + std::string(body) + "\x0b";
    codes_.push_back(leb(code.size()) + code);
    return imported_functions_ + static_cast<std::uint32_t>(functions_.size() - 1);
  }
  void export_entry(std::string_view name, std::uint8_t kind, std::uint32_t index) {
    exports_.push_back(named(name) + static_cast<char>(kind) + leb(index));
  }
  void export_function(std::string_view name, std::string_view parameters, std::string_view results,
                       std::string_view body = "") {
    export_entry(name, 0, function(parameters, results, body));
  }
  void memory(std::string_view limits) { memories_.emplace_back(limits); }
  /// Of functions.
  void table(std::string_view limits) { tables_.push_back("\x70" + std::string(limits)); }
  /// @param mutability  0 or 1. @return the global's index.
  std::uint32_t global_i32(std::uint8_t mutability, std::string_view value) {
    globals_.push_back(std::string("\x7f") + static_cast<char>(mutability) + "\x41" + std::string(value) + "\x0b");
    return static_cast<std::uint32_t>(globals_.size() - 1);
  }
  void data(std::string_view offset, std::string_view bytes) {
    datas_.push_back(std::string(1, '\0') + "\x41" + std::string(offset) + "\x0b" + named(bytes));
  }
  void raw_section(std::uint8_t id, std::string_view payload) { extra_ += section(id, payload); }

  [[nodiscard]] std::string build() const {
    std::string bytes("\0asm\1\0\0\0", 8);
    bytes += list(1, types_) + list(2, imports_) + list(3, functions_) + list(4, tables_) + list(5, memories_) +
             list(6, globals_) + list(7, exports_) + list(10, codes_) + list(11, datas_) + extra_;
    return bytes;
  }

  /// A service that does nothing: every required export, but `without`.
  /// @param import  a function of `env` that takes three numbers: function 0, if there is one.
  static ModuleBuilder service(std::string_view without = "", char version = 1, char protocol = 0,
                               std::string_view import = "") {
    ModuleBuilder builder;
    if (!import.empty()) {
      builder.import_function("env", import, "iii", "");
    }
    builder.memory(std::string("\0\1", 2));
    if (without != "memory") {
      builder.export_entry("memory", 2, 0);
    }
    const std::uint32_t version_at = builder.global_i32(0, "\x10");
    const std::uint32_t protocol_at = builder.global_i32(0, "\x14");
    if (without != "JAMSOCKET_API_VERSION") {
      builder.export_entry("JAMSOCKET_API_VERSION", 3, version_at);
    }
    if (without != "JAMSOCKET_API_PROTOCOL") {
      builder.export_entry("JAMSOCKET_API_PROTOCOL", 3, protocol_at);
    }
    builder.data("\x10", std::string{version, 0, 0, 0, protocol, 0, 0, 0});
    if (without != "initialize") {
      builder.export_function("initialize", "ii", "");
    }
    if (without != "jam_malloc") {
      builder.export_function("jam_malloc", "i", "i", std::string("\x41\x80\x08", 3));
    }
    if (without != "jam_free") {
      builder.export_function("jam_free", "ii", "");
    }
    return builder;
  }

 private:
  static std::string section(std::uint8_t id, std::string_view payload) {
    return static_cast<char>(id) + leb(payload.size()) + std::string(payload);
  }
  static std::string list(std::uint8_t id, const std::vector<std::string>& entries) {
    if (entries.empty()) {
      return {};
    }
    std::string payload = leb(entries.size());
    for (const std::string& entry : entries) {
      payload += entry;
    }
    return section(id, payload);
  }

  std::vector<std::string> types_;
  std::vector<std::string> imports_;
  std::vector<std::string> functions_;
  std::vector<std::string> tables_;
  std::vector<std::string> memories_;
  std::vector<std::string> globals_;
  std::vector<std::string> exports_;
  std::vector<std::string> codes_;
  std::vector<std::string> datas_;
  std::string extra_;
  std::uint32_t imported_functions_ = 0;
};

}  // namespace jamsocket::wasm::testing
