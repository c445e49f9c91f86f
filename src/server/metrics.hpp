// server/metrics.hpp
//
// The server's counters and gauges as Prometheus text. Read from any thread; costs the shards nothing.

#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/counters.hpp"
#include "server/loop_stats.hpp"
#include "server/server.hpp"

namespace jamsocket::server {

/// One shard's numbers.
struct ShardNumbers {
  const Counters& counters;
  const LoopStats& stats;
};

/// Of the whole process, from /proc; zero: not known.
struct ProcessNumbers {
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_descriptors = 0;
  double cpu_seconds = 0;
  std::uint64_t log_lines_dropped = 0;  ///< Logger::lines_dropped; not from /proc.
};
[[nodiscard]] ProcessNumbers process_numbers();
/// Of ProcessNumbers, this one alone: without a look at the rest.
[[nodiscard]] std::uint64_t resident_bytes();

/// `admin`: the second listener's own. Everything, summed over the shards but for the loops' own numbers. Names:
/// docs/admin.md. No label has more values than are in the program's text and in its configuration (the services'
/// names): never a room or a client.
/// @source https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4
[[nodiscard]] std::string metrics_text(std::span<const ShardNumbers> shards, std::span<const ServiceFacts> services,
                                       const ProcessNumbers& process, const Counters* admin = nullptr);

}  // namespace jamsocket::server
