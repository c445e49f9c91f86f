#include "load/machine.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace jamsocket::bench {
namespace {

std::string proc_path(pid_t process, const char* file) { return "/proc/" + std::to_string(process) + "/" + file; }

std::uint64_t ns_per_tick() { return 1'000'000'000U / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)); }

void read_stat(pid_t process, ProcessUse& use) {
  std::ifstream file(proc_path(process, "stat"));
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) {
    return;
  }
  unsigned long user_ticks = 0;
  unsigned long system_ticks = 0;
  const int found = std::sscanf(line.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                &user_ticks, &system_ticks);
  if (found == 2) {
    const auto ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
    use.user_s = static_cast<double>(user_ticks) / ticks_per_s;
    use.system_s = static_cast<double>(system_ticks) / ticks_per_s;
  }
}

void read_status(pid_t process, ProcessUse& use) {
  std::ifstream file(proc_path(process, "status"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) {
      use.rss_kib = std::strtoull(line.c_str() + 6, nullptr, 10);
    }
    if (line.find("ctxt_switches:") != std::string::npos) {
      use.context_switches += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
    }
  }
}

std::vector<std::filesystem::path> softirq_schedstats() {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "comm");
    std::string name;
    if (std::getline(file, name) && name.starts_with("ksoftirqd/")) {
      found.push_back(entry.path() / "schedstat");
    }
  }
  return found;
}

}  // namespace

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) {
    return 0;
  }
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

ProcessUse process_use(pid_t process) {
  ProcessUse use;
  if (process == 0) {
    return use;
  }
  clockid_t clock{};
  if (clock_getcpuclockid(process, &clock) == 0) {
    use.cpu_ns = clock_ns(clock);
  }
  read_stat(process, use);
  read_status(process, use);
  return use;
}

ProcessHoldings process_holdings(pid_t process) {
  ProcessHoldings holdings;
  if (process == 0) {
    return holdings;
  }
  holdings.rss_kib = process_use(process).rss_kib;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(proc_path(process, "fd"), error)) {
    static_cast<void>(entry);
    ++holdings.descriptors;
  }
  std::ifstream file(proc_path(process, "maps"));
  for (std::string line; std::getline(file, line);) {
    ++holdings.mappings;
  }
  return holdings;
}

std::uint64_t tcp_pages() {
  std::ifstream file("/proc/net/sockstat");
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find("mem ");
    if (line.starts_with("TCP:") && at != std::string::npos) {
      return std::strtoull(line.c_str() + at + 4, nullptr, 10);
    }
  }
  return 0;
}

std::uint64_t softirq_threads_ns() {
  static const std::vector<std::filesystem::path> files = softirq_schedstats();
  std::uint64_t sum = 0;
  for (const auto& path : files) {
    std::ifstream file(path);
    std::uint64_t ns = 0;
    file >> ns;
    sum += ns;
  }
  return sum;
}

std::uint64_t machine_busy_ns() {
  std::ifstream file("/proc/stat");
  std::string word;
  std::array<std::uint64_t, 8> ticks{};  // user nice system idle iowait irq softirq steal
  file >> word;
  for (auto& value : ticks) {
    file >> value;
  }
  return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * ns_per_tick();
}

}  // namespace jamsocket::bench
