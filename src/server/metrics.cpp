#include "server/metrics.hpp"

#include <dirent.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

namespace jamsocket::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::string_view kPrefix = "jamsocket_";
constexpr std::string_view kLimitPrefix = "limit_";
MetricFamily family(std::string_view name, std::string_view help, MetricType type) {
  MetricFamily made;
  made.name = std::string(kPrefix) + std::string(name);
  made.help = std::string(help);
  made.type = type;
  return made;
}

ClientMetric& add(MetricFamily& to, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (to.type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = value;
  return to.metric.emplace_back(std::move(metric));
}

MetricFamily gauge(std::string_view name, std::string_view help, double value) {
  MetricFamily made = family(name, help, MetricType::Gauge);
  add(made, {}, value);
  return made;
}

std::uint64_t sum_of(std::span<const ShardNumbers> shards, Counter counter) {
  std::uint64_t sum = 0;
  for (const ShardNumbers& shard : shards) {
    sum += shard.counters.get(counter);
  }
  return sum;
}

std::uint64_t sum_of(std::span<const ShardNumbers> shards, std::uint64_t (LoopStats::*value)() const) {
  std::uint64_t sum = 0;
  for (const ShardNumbers& shard : shards) {
    sum += (shard.stats.*value)();
  }
  return sum;
}

// Counters by name; those of limits are one family, with the limit's name as its label.
void add_counters(std::span<const ShardNumbers> shards, std::vector<MetricFamily>& all) {
  MetricFamily limits = family("limits_hit_total", "times a limit was hit, by its name", MetricType::Counter);
  for (std::size_t i = 0; i < kCounterInfo.size(); ++i) {
    const auto counter = static_cast<Counter>(i);
    const CounterInfo& info = kCounterInfo[i];
    const auto value = static_cast<double>(sum_of(shards, counter));
    if (const std::string_view limit = limit_of(counter); !limit.empty()) {
      add(limits, {{"limit", std::string(limit)}}, value);
    }
    if (info.name.starts_with(kLimitPrefix)) {
      continue;  // It has no family of its own.
    }
    if (counter == Counter::DeflateContextBytes || counter == Counter::OutboundBytesWaiting) {
      all.push_back(gauge(info.name, info.help, value));
    } else {
      MetricFamily made = family(std::string(info.name) + "_total", info.help, MetricType::Counter);
      add(made, {}, value);
      all.push_back(std::move(made));
    }
  }
  if (!limits.metric.empty()) {
    all.push_back(std::move(limits));
  }
}

void add_closes(std::span<const ShardNumbers> shards, std::vector<MetricFamily>& all) {
  MetricFamily closes = family("closes_total",
                               "clients' connections ended, by close code and who closed; none: without "
                               "a close frame",
                               MetricType::Counter);
  for (const auto& [by, name] : {std::pair{CloseBy::Client, "client"}, std::pair{CloseBy::Server, "server"}}) {
    for (std::size_t slot = 0; slot < kCloseLabels.size(); ++slot) {
      std::uint64_t sum = 0;
      for (const ShardNumbers& shard : shards) {
        sum += shard.counters.closes(by, slot);
      }
      add(closes, {{"by", name}, {"code", std::string(kCloseLabels[slot])}}, static_cast<double>(sum));
    }
  }
  all.push_back(std::move(closes));
}

void add_gauges(std::span<const ShardNumbers> shards, std::vector<MetricFamily>& all) {
  const auto now = [&](std::string_view name, std::string_view help, std::uint64_t (LoopStats::*value)() const) {
    all.push_back(gauge(name, help, static_cast<double>(sum_of(shards, value))));
  };
  now("connections", "open connections, clients included", &LoopStats::connections);
  now("clients", "clients from their upgrade to their end", &LoopStats::clients);
  now("rooms", "live rooms", &LoopStats::rooms);
  now("rooms_runnable", "rooms with events that wait for the next turn", &LoopStats::rooms_runnable);
  now("calls_slow_now", "service calls that run on slow threads", &LoopStats::calls_slow);
  const auto sends = static_cast<double>(sum_of(shards, Counter::Sends));
  all.push_back(gauge("coalescing_ratio", "messages for each send to a client, since the start",
                      sends == 0 ? 0 : static_cast<double>(sum_of(shards, Counter::MessagesOut)) / sends));
  all.push_back(gauge("shards", "event loops", static_cast<double>(shards.size())));
}

void add_turns(std::span<const ShardNumbers> shards, std::vector<MetricFamily>& all) {
  MetricFamily turns =
      family("loop_turn_seconds", "how long a turn of an event loop takes, without its wait", MetricType::Histogram);
  for (std::size_t number = 0; number < shards.size(); ++number) {
    const LoopStats& stats = shards[number].stats;
    ClientMetric metric;
    metric.label = {{"shard", std::to_string(number)}};
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < LoopStats::kBuckets; ++i) {
      count += stats.bucket(i);
      if (i + 1 < LoopStats::kBuckets) {
        metric.histogram.bucket.push_back(
            {.cumulative_count = count, .upper_bound = static_cast<double>(std::uint64_t{1} << i) / 1e6});
      }
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(stats.busy_ns()) / 1e9;
    turns.metric.push_back(std::move(metric));
  }
  all.push_back(std::move(turns));
}

// By the names that every exporter uses.
void add_process(const ProcessNumbers& process, std::vector<MetricFamily>& all) {
  const auto named = [](std::string name, std::string help, MetricType type, double value) {
    MetricFamily made;
    made.name = std::move(name);
    made.help = std::move(help);
    made.type = type;
    add(made, {}, value);
    return made;
  };
  all.push_back(named("process_resident_memory_bytes", "resident memory", MetricType::Gauge,
                      static_cast<double>(process.resident_bytes)));
  all.push_back(
      named("process_open_fds", "open descriptors", MetricType::Gauge, static_cast<double>(process.open_descriptors)));
  all.push_back(named("process_cpu_seconds_total", "processor time", MetricType::Counter, process.cpu_seconds));
  MetricFamily dropped = family("log_lines_dropped_total", "log lines that the sink did not take", MetricType::Counter);
  add(dropped, {}, static_cast<double>(process.log_lines_dropped));
  all.push_back(std::move(dropped));
}

// Apart from those of the clients' door: a scrape is no request of theirs.
void add_admin(const Counters& counters, std::vector<MetricFamily>& all) {
  const auto of = [&](std::string_view name, std::string_view help, Counter counter) {
    MetricFamily made = family(name, help, MetricType::Counter);
    add(made, {}, static_cast<double>(counters.get(counter)));
    all.push_back(std::move(made));
  };
  of("admin_requests_total", "requests to the admin listener", Counter::HttpRequests);
  of("admin_errors_total", "requests that the admin listener answered with an error", Counter::HttpErrors);
  of("admin_connections_refused_total",
     "connections beyond those that the admin listener may have, for each of which one had to go",
     Counter::ConnectionsRefused);
}

// The operator names the services: there are as many as he wants.
void add_services(std::span<const ServiceFacts> services, std::vector<MetricFamily>& all) {
  const auto of_each = [&](std::string_view name, std::string_view help, MetricType type, auto value) {
    MetricFamily made = family(name, help, type);
    for (const ServiceFacts& service : services) {
      add(made, {{"service", service.name.empty() ? std::string("/") : service.name}},
          static_cast<double>(value(service)));
    }
    if (!services.empty()) {
      all.push_back(std::move(made));
    }
  };
  of_each("service_rooms", "live rooms of a service", MetricType::Gauge, [](const ServiceFacts& s) { return s.rooms; });
  of_each("service_cpu_seconds_total", "processor time of a service's calls", MetricType::Counter,
          [](const ServiceFacts& s) { return static_cast<double>(s.cpu_ns) / 1e9; });
  of_each("service_memory_bytes", "memory of a service's rooms; 0 for native services, which nobody measures",
          MetricType::Gauge, [](const ServiceFacts& s) { return s.memory_bytes; });
}

}  // namespace

std::uint64_t resident_bytes() {
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/proc/self/statm", "re"));
  unsigned long pages = 0;
  const bool is_known = file != nullptr && std::fscanf(file.get(), "%*u %lu", &pages) == 1;
  return is_known ? std::uint64_t{pages} * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

ProcessNumbers process_numbers() {
  ProcessNumbers numbers{.resident_bytes = resident_bytes()};
  struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  if (const std::unique_ptr<DIR, CloseFolder> folder(::opendir("/proc/self/fd")); folder != nullptr) {
    while (::readdir(folder.get()) != nullptr) {  // NOLINT(concurrency-mt-unsafe): a stream of our own.
      ++numbers.open_descriptors;
    }
    numbers.open_descriptors -= 3;  // ".", ".." and the folder itself.
  }
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    numbers.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  return numbers;
}

std::string metrics_text(std::span<const ShardNumbers> shards, std::span<const ServiceFacts> services,
                         const ProcessNumbers& process, const Counters* admin) {
  std::vector<MetricFamily> all;
  add_counters(shards, all);
  add_closes(shards, all);
  add_gauges(shards, all);
  add_turns(shards, all);
  add_services(services, all);
  add_process(process, all);
  if (admin != nullptr) {
    add_admin(*admin, all);
  }
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace jamsocket::server
