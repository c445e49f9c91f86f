// wasm/engine_impl.hpp
//
// What an Engine holds, for the files of this folder.

#pragma once

#include <string>
#include <thread>

#include "wasm/engine.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/memory_slots.hpp"

namespace jamsocket::wasm {

/// Advances the engine's epoch each millisecond until it is destroyed.
class Ticker {
 public:
  explicit Ticker(wasm_engine_t* engine);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  int stop_descriptor_ = -1;
  std::thread thread_;
};

class Engine::Impl {
 public:
  explicit Impl(const EngineOptions& options);

  // In this order: stores and modules refer to the engine, the engine to the slots.
  MemorySlots slots;
  EngineHandle engine;
  LinkerHandle linker;
  /// Names the engine's version and every setting that changes compiled code.
  std::string configuration;
  Ticker ticker;
};

}  // namespace jamsocket::wasm
