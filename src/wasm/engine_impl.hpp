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

/// Advances the engine's epoch, which is how long calls are noticed; sleeps while no guest runs, so that an idle server
/// costs nothing. While guests only run briefly its ticks ride on the kernel's own, a few milliseconds apart: a timer
/// of its own each millisecond would cost a busy shard several per cent. Once a tick meets a guest that runs, the next
/// ones come each millisecond, until none does.
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
  /// A guest ran when a tick came, and nobody knows yet for how long: the next one is to come in a millisecond.
  void expect_exact_ticks();

  /// For tests.
  [[nodiscard]] bool asleep() const { return asleep_.load(); }
  [[nodiscard]] bool exact() const { return exact_.load(); }

 private:
  void run(wasm_engine_t* engine);
  void set_exact(bool exact);

  // On a cache line of its own: every event reads it, and the ticker writes it at each tick.
  alignas(64) std::atomic<bool> wanted_{true};
  alignas(64) std::atomic<bool> stopped_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> exact_{false};
  std::atomic<bool> met_a_guest_{false};  ///< The last tick did.
  int wake_descriptor_ = -1;
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
