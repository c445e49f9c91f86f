#include "load/holding.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "load/clients.hpp"
#include "load/histogram.hpp"
#include "load/machine.hpp"

namespace jamsocket::bench {
namespace {

constexpr std::uint64_t kAnswerTimeoutNs = 30'000'000'000U;
constexpr std::uint64_t kSettleTimeoutNs = 10'000'000'000U;
constexpr std::uint64_t kFirstClientsNs = 200'000'000U;

unsigned long long printable(std::uint64_t value) { return value; }

double kib_between_as_bytes(std::uint64_t before, std::uint64_t after) {
  return (static_cast<double>(after) - static_cast<double>(before)) * 1024.0;
}

struct Parts {
  std::span<Client> first;
  std::span<Client> others;
};

/// `others` is never empty.
Parts parted(std::span<Client> all, std::size_t first) {
  const std::size_t at = std::min(first, all.size() - 1);
  return {.first = all.first(at), .others = all.subspan(at)};
}

/// Reads and drops whatever comes, for as long as `duration_ns`.
void listen_for(Clients& clients, std::uint64_t duration_ns) {
  const std::uint64_t until = now_ns() + duration_ns;
  for (std::uint64_t now = now_ns(); now < until; now = now_ns()) {
    const int timeout_ms = static_cast<int>(std::min<std::uint64_t>(100, (until - now) / 1'000'000 + 1));
    for (const auto& event : clients.wait(timeout_ms)) {
      clients.receive(Clients::client_of(event), [](std::string_view) {});
    }
  }
}

struct RoomsCycle {
  double open_ms = 0;
  double answer_ms = 0;
  double settle_ms = 0;
  std::size_t answered = 0;
  ProcessHoldings full;
  ProcessHoldings after;
};

std::size_t ask_each(Clients& clients, std::vector<Client>& all, const LoadOptions& options) {
  StampedFrame frame(options.payload, options.text);
  const std::uint64_t until = now_ns() + kAnswerTimeoutNs;
  std::size_t asked = 0;
  std::size_t answered = 0;
  while (answered < all.size() && now_ns() < until) {
    while (asked < all.size() && asked - answered < options.burst) {
      Clients::send_all(all[asked++], frame.stamped(now_ns()));
    }
    for (const auto& event : clients.wait(100)) {
      clients.receive(Clients::client_of(event), [&answered](std::string_view) { ++answered; });
    }
  }
  return answered;
}

RoomsCycle run_cycle(const LoadOptions& options, const ProcessHoldings& before) {
  RoomsCycle cycle;
  Clients clients(options);
  std::vector<Client> all(options.conns);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].room = static_cast<std::uint32_t>(i);
  }
  cycle.open_ms = clients.open_all(all);
  const std::uint64_t asked_at = now_ns();
  cycle.answered = ask_each(clients, all, options);
  cycle.answer_ms = static_cast<double>(now_ns() - asked_at) / 1e6;
  cycle.full = process_holdings(options.server_pid);
  for (Client& client : all) {
    clients.leave(client);
  }
  const std::uint64_t left_at = now_ns();
  do {
    static_cast<void>(clients.wait(50));  // Nobody is left to be read: only the time passes.
    cycle.after = process_holdings(options.server_pid);
  } while (cycle.after.descriptors > before.descriptors && now_ns() - left_at < kSettleTimeoutNs);
  cycle.settle_ms = static_cast<double>(now_ns() - left_at) / 1e6;
  listen_for(clients, 1'000'000'000U);  // Rooms end a moment after their last client has left.
  cycle.after = process_holdings(options.server_pid);
  return cycle;
}

std::string json(const ProcessHoldings& holdings) {
  return R"({"rss_kib":)" + std::to_string(holdings.rss_kib) + R"(,"descriptors":)" +
         std::to_string(holdings.descriptors) + R"(,"mappings":)" + std::to_string(holdings.mappings) + "}";
}

}  // namespace

// What the first client of each room makes (the room, an instance, the pages of code that run for the first time) is
// there before the memory is read: it costs that once, however many follow.
void run_idle(const LoadOptions& options) {
  Clients clients(options);
  std::vector<Client> all(options.conns);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].room = static_cast<std::uint32_t>(i % options.rooms);
  }
  const auto [first, others] = parted(all, options.rooms);
  double connect_ms = clients.open_all(first);
  listen_for(clients, kFirstClientsNs);
  const std::uint64_t rss_before = process_use(options.server_pid).rss_kib;
  const std::uint64_t tcp_before = tcp_pages();
  connect_ms += clients.open_all(others);
  listen_for(clients, static_cast<std::uint64_t>(options.seconds * 1e9));
  const std::uint64_t rss_after = process_use(options.server_pid).rss_kib;
  std::printf(R"({"label":"%s","mode":"idle","conns":%zu,"connect_ms":%.1f,"rss_before_kib":%llu,"rss_after_kib":%llu,)"
              R"("rss_per_conn_bytes":%.1f,"kernel_tcp_pages_delta":%lld})"
              "\n",
              options.label.c_str(), all.size(), connect_ms, printable(rss_before), printable(rss_after),
              kib_between_as_bytes(rss_before, rss_after) / static_cast<double>(others.size()),
              static_cast<long long>(tcp_pages()) - static_cast<long long>(tcp_before));
}

void run_rooms(const LoadOptions& options) {
  const ProcessHoldings before = process_holdings(options.server_pid);
  std::printf(R"({"label":"%s","mode":"rooms","conns":%u,"before":%s,"cycles":[)", options.label.c_str(), options.conns,
              json(before).c_str());
  for (unsigned i = 0; i < options.cycles; ++i) {
    const RoomsCycle cycle = run_cycle(options, before);
    std::printf(R"(%s{"open_ms":%.1f,"answer_ms":%.1f,"settle_ms":%.1f,"answered":%zu,"rss_per_room_bytes":%.1f,)"
                R"("full":%s,"after":%s})",
                i == 0 ? "" : ",", cycle.open_ms, cycle.answer_ms, cycle.settle_ms, cycle.answered,
                kib_between_as_bytes(before.rss_kib, cycle.full.rss_kib) / options.conns, json(cycle.full).c_str(),
                json(cycle.after).c_str());
  }
  std::printf("]}\n");
}

namespace {

/// @return nothing; `latency` gets the nanoseconds from the dial to the upgrade's answer of each.
void churn(Clients& clients, const LoadOptions& options, std::size_t total, Histogram& latency) {
  std::vector<Client> slots(std::min(total, std::size_t{options.burst}));
  std::size_t dialled = 0;
  std::size_t left = 0;
  const auto dial = [&](Client& client) {
    client.room = static_cast<std::uint32_t>(dialled % options.rooms);
    clients.dial(client);
    ++dialled;
  };
  for (Client& client : slots) {
    dial(client);
  }
  while (left < total) {
    const auto events = clients.wait(5000);
    if (events.empty()) {
      die("no answer to an upgrade within 5 s; done: " + std::to_string(left));
    }
    for (const auto& event : events) {
      Client& client = Clients::client_of(event);
      if (!clients.read_upgrade(client)) {
        continue;
      }
      latency.add(now_ns() - client.dialled_ns);
      clients.leave(client);
      ++left;
      if (dialled < total) {
        dial(client);
      }
    }
  }
}

}  // namespace

void run_churn(const LoadOptions& options) {
  Clients clients(options);
  Histogram warmup;
  churn(clients, options, std::max(1U, options.conns / 10), warmup);
  listen_for(clients, 50'000'000U);
  Histogram latency;
  const ProcessUse before = process_use(options.server_pid);
  const std::uint64_t client_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const std::uint64_t machine_before = machine_busy_ns();
  const std::uint64_t start = now_ns();
  churn(clients, options, options.conns, latency);
  const double active_ns = static_cast<double>(now_ns() - start);
  listen_for(clients, 50'000'000U);  // The server notices the last ones' leaving.
  const double ns = static_cast<double>(now_ns() - start);
  const auto server_ns = static_cast<double>(process_use(options.server_pid).cpu_ns - before.cpu_ns);
  const auto client_ns = static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client_before);
  const double others_ns =
      std::max(0.0, static_cast<double>(machine_busy_ns() - machine_before) - server_ns - client_ns);
  std::printf(R"({"label":"%s","mode":"churn","conns":%u,"burst":%u,"seconds":%.3f,"per_s":%.0f,)"
              R"("lat_us":{"p50":%.1f,"p99":%.1f,"max":%.1f},"server":{"cpu_pct":%.1f,"ns_per_conn":%.1f},)"
              R"("client":{"cpu_pct":%.1f,"ns_per_conn":%.1f},"others_cpu_pct":%.1f})"
              "\n",
              options.label.c_str(), options.conns, options.burst, active_ns / 1e9, options.conns / active_ns * 1e9,
              static_cast<double>(latency.percentile(50)) / 1e3, static_cast<double>(latency.percentile(99)) / 1e3,
              static_cast<double>(latency.max()) / 1e3, server_ns / ns * 100, server_ns / options.conns,
              client_ns / ns * 100, client_ns / options.conns, others_ns / ns * 100);
}

}  // namespace jamsocket::bench
