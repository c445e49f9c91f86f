// What metrics cost an echo: everything that is counted for one message which has a turn of the loop to itself, the
// dearest case. And what a scrape costs the admin listener's thread.
//
//   bench_metrics
//
// Prints one line a measurement. Beside it: an echo costs the server what `make bench` says.

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "base/counters.hpp"
#include "server/loop_stats.hpp"
#include "server/metrics.hpp"

namespace jamsocket::server {
namespace {

constexpr int kRounds = 15;
constexpr int kEchoes = 2'000'000;
constexpr int kScrapes = 2'000;

// The least of the rounds: what others do to the machine only adds.
template <class Work>
double least_ns(const Clock& clock, int times, Work&& work) {
  double least = 1e300;
  for (int round = 0; round < kRounds; ++round) {
    const SteadyTime before = clock.steady();
    for (int i = 0; i < times; ++i) {
      work();
    }
    least = std::min(least, std::chrono::duration<double, std::nano>(clock.steady() - before).count() / times);
  }
  return least;
}

int run() {
  const SystemClock clock;
  const auto counters = std::make_unique<Counters>();
  const auto stats = std::make_unique<LoopStats>();
  const SteadyTime begin = clock.steady();
  const double echo = least_ns(clock, kEchoes, [&] {
    counters->add(Counter::BytesIn, 70);
    counters->add(Counter::MessagesIn);
    counters->add(Counter::EventsHandled);
    counters->add(Counter::MessagesOut);
    counters->add(Counter::Sends);
    counters->add(Counter::BytesOut, 66);
    counters->add(Counter::LoopTurns);
    stats->turn_ended({.busy_for = clock.steady() - begin, .connections = 100, .clients = 100, .rooms = 1});
  });
  const std::vector<ShardNumbers> shards(2, ShardNumbers{*counters, *stats});
  std::size_t bytes = 0;
  const double scrape = least_ns(clock, kScrapes, [&] { bytes = metrics_text(shards, {}, process_numbers()).size(); });
  fmt::print("counting an echo that has a turn to itself: {:.1f} ns\n", echo);
  fmt::print("a scrape of two shards: {:.0f} us, {} bytes\n", scrape / 1000, bytes);
  return 0;
}

}  // namespace
}  // namespace jamsocket::server

int main() { return jamsocket::server::run(); }
