// bench/replay/main.cpp
//
// bench_replay MODULE EVENTS: how many events of a stored room are run again in a second, from reading its records to
// the instance that goes on. Each is a message "increment". Prints one line of JSON.

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "room/rebuild.hpp"
#include "wasm/engine.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket {
namespace {

store::StoredRoom counted(std::string_view version, std::uint64_t events) {
  constexpr std::int64_t kTimeMs = 1'700'000'000'000;
  store::StoredRoom stored{
      .key = store::RoomKey{1}, .name = {.service = "bench", .id = "r"}, .birth = {}, .checkpoint = {}, .tail = {}};
  stored.birth = room::encode(room::Birth{.seed = {}, .time_ms = kTimeMs, .version = std::string(version)});
  for (std::uint64_t number = 1; number <= events; ++number) {
    service::Event event{.kind = service::EventKind::Text, .client = ClientId{1}, .payload = "increment"};
    event.number = number;
    event.time_ms = kTimeMs;
    stored.tail.push_back({.number = number, .timer_ms = 0, .bytes = room::encode(event, {})});
  }
  return stored;
}

int run(const char* path, std::uint64_t events) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const wasm::Engine engine;
  auto module = engine.load_bytes(bytes, {});
  if (!module) {
    std::fputs((module.error().message + "\n").c_str(), stderr);
    return 1;
  }
  const auto service = wasm::make_module_service("bench", std::move(*module), {});
  store::StoredRoom stored = counted(service->version(), events);
  service::Effects scratch{service::EffectLimits{}};
  const auto begin = std::chrono::steady_clock::now();
  const auto rebuild = room::Rebuild::from(std::move(stored));
  if (!rebuild) {
    std::fputs((rebuild.error().message + "\n").c_str(), stderr);
    return 1;
  }
  const auto instance = room::run(**rebuild, *service, scratch, nullptr);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (!instance) {
    std::fputs((instance.error().reason + "\n").c_str(), stderr);
    return 1;
  }
  const std::string line =
      fmt::format("{{\"events\": {}, \"per_s\": {:.0f}}}\n", events, static_cast<double>(events) / seconds.count());
  std::fputs(line.c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace jamsocket

int main(int argument_count, char** arguments) {
  if (argument_count != 3) {
    std::fputs("usage: bench_replay MODULE EVENTS\n", stderr);
    return 2;
  }
  return jamsocket::run(arguments[1], std::strtoull(arguments[2], nullptr, 10));
}
