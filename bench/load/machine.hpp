// load/machine.hpp
//
// What a run cost: the server's CPU time and memory, and what everything else on the machine used meanwhile.
//
// All of it is read from the kernel (a process's CPU clock, /proc); a figure that cannot be read is 0.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>

namespace jamsocket::bench {

/// What a process has used since its start.
struct ProcessUse {
  std::uint64_t cpu_ns = 0;
  double user_s = 0;
  double system_s = 0;
  std::uint64_t rss_kib = 0;
  std::uint64_t context_switches = 0;
};

/// @param process  0: nothing is read.
[[nodiscard]] ProcessUse process_use(pid_t process);

/// What a process holds that it must give back.
struct ProcessHoldings {
  std::uint64_t rss_kib = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t mappings = 0;
};
[[nodiscard]] ProcessHoldings process_holdings(pid_t process);

[[nodiscard]] std::uint64_t clock_ns(clockid_t clock);
[[nodiscard]] std::uint64_t now_ns();

/// Kernel memory held by TCP on this machine, in pages.
[[nodiscard]] std::uint64_t tcp_pages();

/// CPU time of the kernel's softirq threads. Packets sent in a burst are partly received there, outside
/// any process: work the server caused and nobody paid for.
[[nodiscard]] std::uint64_t softirq_threads_ns();

/// Every CPU's time that was not idle, whoever used it.
[[nodiscard]] std::uint64_t machine_busy_ns();

}  // namespace jamsocket::bench
