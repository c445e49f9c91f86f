// wasm/engine_impl.hpp
//
// What an Engine holds, for the files of this folder.

#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "wasm/engine.hpp"
#include "wasm/engine_api.hpp"
#include "wasm/memory_slots.hpp"

namespace jamsocket::wasm {

/// Advances the engine's epoch each millisecond, which is how long calls are noticed; sleeps while no
/// guest runs, so that an idle server costs nothing.
class Ticker {
 public:
  explicit Ticker(wasm_engine_t* engine);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// A guest is about to run, or still does at a tick: the next ticks will come. Any thread.
  void expect_ticks() {
    if (!wanted_.load(std::memory_order_relaxed)) [[unlikely]] {
      wanted_.store(true);
      wanted_.notify_one();
    }
  }

  /// For tests.
  [[nodiscard]] bool asleep() const { return asleep_.load(); }

 private:
  void run(wasm_engine_t* engine);

  // On a cache line of its own: every event reads it, and the ticker writes it each millisecond.
  alignas(64) std::atomic<bool> wanted_{true};
  alignas(64) std::atomic<bool> stopped_{false};
  std::atomic<bool> asleep_{false};
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
