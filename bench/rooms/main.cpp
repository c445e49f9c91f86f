// bench/rooms/main.cpp
//
// bench_rooms DIR ROOMS: a data directory with so many rooms of the service "counter", each as it is when it has been
// dropped from memory: a checkpoint, and nothing behind it.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "room/records.hpp"
#include "store/database.hpp"
#include "store/packing.hpp"

namespace jamsocket {
namespace {

constexpr std::uint64_t kTogether = 10'000;
constexpr std::int64_t kTimeMs = 1'700'000'000'000;

Result<void> make(const char* directory, std::uint64_t rooms) {
  const auto data = JAM_TRY(store::Database::open(directory));
  const std::string birth = room::encode(room::Birth{.seed = {}, .time_ms = kTimeMs, .version = "bench"});
  const std::string state = room::encode(room::CheckpointParts{.side = {}, .version = "bench", .state = "state"});
  for (std::uint64_t first = 1; first <= rooms; first += kTogether) {
    store::Batch batch;
    std::vector<store::PackedCheckpoint> checkpoints;
    for (std::uint64_t number = first; number < std::min(first + kTogether, rooms + 1); ++number) {
      const store::RoomKey key{number};
      batch.created.push_back(
          {.key = key, .name = {.service = "counter", .id = fmt::format("room-{}", number)}, .birth = birth});
      checkpoints.push_back(store::pack({.key = key, .checkpoint = {.number = 16, .timer_ms = 0, .bytes = state}}));
    }
    JAM_TRY_VOID(data->commit({&batch, 1}, checkpoints));
  }
  return {};
}

}  // namespace
}  // namespace jamsocket

int main(int argument_count, char** arguments) {
  if (argument_count != 3) {
    std::fputs("usage: bench_rooms DIR ROOMS\n", stderr);
    return 2;
  }
  const auto made = jamsocket::make(arguments[1], std::strtoull(arguments[2], nullptr, 10));
  if (!made) {
    std::fputs((made.error().message + "\n").c_str(), stderr);
  }
  return made ? 0 : 1;
}
