#include "server/metrics.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, SumsTheShards) {
  Counters one;
  Counters two;
  LoopStats stats_one;
  LoopStats stats_two;
  one.add(Counter::MessagesOut, 6);
  two.add(Counter::MessagesOut, 2);
  one.add(Counter::Sends, 4);
  one.closed(CloseBy::Server, 1009);
  two.closed(CloseBy::Server, 1009);
  two.closed(CloseBy::Client, 4321);
  stats_one.turn_ended({.busy_for = 1ms, .connections = 3, .clients = 2, .rooms = 1});
  stats_two.turn_ended({.busy_for = 300ns, .connections = 4, .clients = 1, .rooms = 1});
  const std::array shards{ShardNumbers{one, stats_one}, ShardNumbers{two, stats_two}};
  const std::string text = metrics_text(shards, {}, {});
  EXPECT_TRUE(has_line(text, "jamsocket_messages_out_total 8")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_coalescing_ratio 2")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_closes_total{by="server",code="1009"} 2)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_closes_total{by="client",code="4xxx"} 1)")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_connections 7")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_rooms 2")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_deflate_context_bytes 0")) << text;
}

// Goal: a turn is in the first bucket whose bound it does not reach, and in all that follow.
TEST(Metrics, PutsTurnsIntoBuckets) {
  const Counters counters;
  LoopStats stats;
  stats.turn_ended({.busy_for = 900ns});
  stats.turn_ended({.busy_for = 3us});
  stats.turn_ended({.busy_for = 10s});
  const std::array shards{ShardNumbers{counters, stats}};
  const std::string text = metrics_text(shards, {}, {});
  EXPECT_TRUE(has_line(text, R"(jamsocket_loop_turn_seconds_bucket{shard="0",le="1e-06"} 1)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_loop_turn_seconds_bucket{shard="0",le="2e-06"} 1)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_loop_turn_seconds_bucket{shard="0",le="4e-06"} 2)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_loop_turn_seconds_bucket{shard="0",le="+Inf"} 3)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_loop_turn_seconds_count{shard="0"} 3)")) << text;
}

TEST(Metrics, SumsUpServicesByName) {
  const std::array services{ServiceFacts{.name = "", .service = "counter", .rooms = 2, .cpu_ns = 1'500'000'000},
                            ServiceFacts{.name = "chat", .service = "chat", .rooms = 1, .memory_bytes = 65536}};
  const std::string text = metrics_text({}, services, {.log_lines_dropped = 3});
  EXPECT_TRUE(has_line(text, R"(jamsocket_service_cpu_seconds_total{service="/"} 1.5)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_service_rooms{service="/"} 2)")) << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_service_memory_bytes{service="chat"} 65536)")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_log_lines_dropped_total 3")) << text;
}

TEST(Metrics, TellsLimitsByName) {
  Counters counters;
  counters.add(Counter::LimitConnectionRate, 2);
  counters.add(Counter::ClientsTurnedAway);
  const LoopStats stats;
  const std::array shards{ShardNumbers{counters, stats}};
  const std::string text = metrics_text(shards, {}, {});
  EXPECT_TRUE(has_line(text, R"(jamsocket_limits_hit_total{limit="connections_per_address_per_second_max"} 2)"))
      << text;
  EXPECT_TRUE(has_line(text, R"(jamsocket_limits_hit_total{limit="failures_before_back_off"} 1)")) << text;
  EXPECT_TRUE(has_line(text, "jamsocket_clients_turned_away_total 1")) << text;
}

TEST(Metrics, KnowsItsProcess) {
  const ProcessNumbers numbers = process_numbers();
  EXPECT_GT(numbers.resident_bytes, 1U << 20U);
  EXPECT_GE(numbers.open_descriptors, 3U);
  EXPECT_GT(numbers.cpu_seconds, 0);
}

}  // namespace
}  // namespace jamsocket::server
