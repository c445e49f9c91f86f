// What a room of a module costs: an event, a room's making and end, and many rooms at once.
//
//   bench_wasm MODULE.wasm [ROOMS] [TEXT]
//
// MODULE is a service that answers the text message TEXT ("increment") to everyone. Prints one line
// a measurement; bench/README.md says how to compare them.

#include <fmt/format.h>
#include <malloc.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "base/clock.hpp"
#include "wasm/call_state.hpp"
#include "wasm/engine.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket::wasm {
namespace {

using Nanoseconds = std::chrono::duration<double, std::nano>;
using Instance = std::unique_ptr<service::ServiceInstance>;

class Bench {
 public:
  Bench(std::shared_ptr<const Module> module, std::string text)
      : service_(make_module_service("bench", std::move(module))), text_(std::move(text)) {}

  [[nodiscard]] Instance make_room() {
    effects_.clear();
    auto room = service_->create({.room_id = "room"}, effects_);
    JAM_CHECK(room.has_value());
    return std::move(*room);
  }

  void send(service::ServiceInstance& room) {
    effects_.clear();
    const service::Event event{
        .kind = service::EventKind::Text, .client = ClientId{1}, .payload = text_, .number = ++number_};
    JAM_CHECK(room.handle(event, effects_) == service::Outcome::Done);
    JAM_CHECK(!effects_.empty());
  }

  /// Nanoseconds of CPU time for one of `count` runs, the best of five rounds.
  template <class Run>
  [[nodiscard]] double best_of(std::size_t count, Run&& run) const {
    double best = 0;
    for (int round = 0; round < 5; ++round) {
      const std::chrono::nanoseconds start = thread_cpu_time();
      for (std::size_t i = 0; i < count; ++i) {
        run();
      }
      const double each = Nanoseconds(thread_cpu_time() - start).count() / static_cast<double>(count);
      best = round == 0 ? each : std::min(best, each);
    }
    return best;
  }

 private:
  std::unique_ptr<service::Service> service_;
  std::string text_;
  service::Effects effects_;
  std::uint64_t number_ = 0;
};

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

std::size_t mappings() {
  std::ifstream file("/proc/self/maps");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) {
    ++lines;
  }
  return lines;
}

void measure_one_room(Bench& bench) {
  constexpr std::size_t kEvents = 1'000'000;
  constexpr std::size_t kRooms = 20'000;
  const Instance room = bench.make_room();
  fmt::print("event_ns {:.1f}\n", bench.best_of(kEvents, [&] { bench.send(*room); }));
  fmt::print("make_and_drop_us {:.2f}\n", bench.best_of(kRooms, [&] { (void)bench.make_room(); }) / 1000);
  fmt::print("make_reply_and_drop_us {:.2f}\n", bench.best_of(kRooms, [&] {
    const Instance fresh = bench.make_room();
    bench.send(*fresh);
  }) / 1000);
}

void measure_many_rooms(Bench& bench, std::size_t count) {
  constexpr int kMessages = 5;
  std::vector<Instance> rooms;
  rooms.reserve(count);
  const std::size_t resident_before = resident_bytes();
  const std::size_t mappings_before = mappings();
  const auto kib_each = [&] {
    return (static_cast<double>(resident_bytes()) - static_cast<double>(resident_before)) / static_cast<double>(count) /
           1024;
  };
  const std::chrono::nanoseconds start = thread_cpu_time();
  for (std::size_t i = 0; i < count; ++i) {
    rooms.push_back(bench.make_room());
  }
  const double each_us = Nanoseconds(thread_cpu_time() - start).count() / 1000 / static_cast<double>(count);
  fmt::print("rooms {}\nfresh_make_us {:.2f}\nfresh_kib {:.1f}\n", count, each_us, kib_each());
  for (int i = 0; i < kMessages; ++i) {
    for (const Instance& room : rooms) {
      bench.send(*room);
    }
  }
  fmt::print("after_{}_messages_kib {:.1f}\n", kMessages, kib_each());
  fmt::print("mappings_each {:.2f}\n", static_cast<double>(mappings() - mappings_before) / static_cast<double>(count));
  rooms.clear();
  ::malloc_trim(0);
  fmt::print("after_all_ended_kib {:.2f}\n", kib_each());
}

// What watching adds to a call that is soon over: its budgets start, ticks are asked for, and the loop looks at the
// clock when it has ended.
void measure_watch(const Bench& bench, const Engine& engine) {
  constexpr std::size_t kCalls = 10'000'000;
  const StoreHandle store(wasmtime_store_new(engine.impl().engine.get(), nullptr, nullptr));
  wasmtime_context_t* const context = wasmtime_store_context(store.get());
  const SystemClock clock;
  CallWatch watch(ModuleLimits{});
  SteadyTime last = clock.coarse();
  std::uint32_t ticks = 0;
  fmt::print("watch_ns {:.1f}\n", bench.best_of(kCalls, [&] {
    watch.start(CallWatch::Budget::Once);
    engine.impl().ticker.expect_ticks();
    wasmtime_context_set_epoch_deadline(context, 1);
    const SteadyTime now = clock.coarse();
    ticks += now == last ? 0U : 1U;
    last = now;
  }));
  JAM_CHECK(ticks > 0);
}

int run(const std::string& path, std::size_t rooms, std::string text) {
  const Engine engine;
  const std::chrono::nanoseconds start = thread_cpu_time();
  auto module = engine.load_file(path, {});
  if (!module) {
    fmt::print(stderr, "{}\n", module.error().message);
    return EXIT_FAILURE;
  }
  fmt::print("compile_ms {:.1f}\n", Nanoseconds(thread_cpu_time() - start).count() / 1e6);
  Bench bench(*module, std::move(text));
  measure_one_room(bench);
  measure_watch(bench, engine);
  measure_many_rooms(bench, rooms);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace jamsocket::wasm

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments, arguments + count);
  std::size_t rooms = 20'000;
  if (words.size() > 2) {
    std::from_chars(words[2].data(), words[2].data() + words[2].size(), rooms);
  }
  if (words.size() < 2) {
    fmt::print(stderr, "usage: {} MODULE.wasm [ROOMS] [TEXT]\n", words.front());
    return EXIT_FAILURE;
  }
  return jamsocket::wasm::run(words[1], rooms, words.size() > 3 ? words[3] : "increment");
}
