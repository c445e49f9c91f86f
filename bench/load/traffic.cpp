#include "load/traffic.hpp"

#include <algorithm>
#include <cstdio>

namespace jamsocket::bench {
namespace {

constexpr std::uint64_t kFirstMessageTimeoutNs = 5'000'000'000U;

std::size_t clients_in_all(const LoadOptions& options) {
  if (options.mode != Mode::Fanout) {
    return options.conns;
  }
  return std::size_t{options.rooms} * (std::size_t{options.conns} + options.publishers);
}

std::uint64_t ns_of(double seconds) { return static_cast<std::uint64_t>(seconds * 1e9); }

double difference(std::uint64_t after, std::uint64_t before) { return static_cast<double>(after - before); }

}  // namespace

Traffic::Traffic(const LoadOptions& options)
    : options_(options),
      clients_(options),
      all_(clients_in_all(options)),
      rooms_(options.rooms),
      frame_(options.payload, options.text) {
  assign_rooms();
}

void Traffic::assign_rooms() {
  const std::size_t members = std::size_t{options_.conns} + options_.publishers;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    Client& client = all_[i];
    if (!is_fanout()) {
      client.room = static_cast<std::uint32_t>(i % options_.rooms);
      continue;
    }
    client.room = static_cast<std::uint32_t>(i / members);
    if (i % members >= options_.conns) {  // The publishers come last into their room.
      client.role = Role::Publisher;
      rooms_[client.room].publishers.push_back(&client);
    }
  }
}

void Traffic::run() {
  connect_ms_ = clients_.open_all(all_);
  const std::uint64_t start = now_ns();
  measure_from_ = start + ns_of(options_.warmup);
  stop_at_ = measure_from_ + ns_of(options_.seconds);
  due_ns_ = static_cast<double>(start);
  begin();
  loop();
  check_that_all_took_part();
  report();
}

// Where each message is answered by the next, a client that never hears one has no part in the run: it was another
// work. A busy machine may need longer for it than the run took.
void Traffic::check_that_all_took_part() {
  const auto left_out = [this] {
    return std::ranges::count_if(all_,
                                 [](const Client& client) { return client.role == Role::Member && !client.heard; });
  };
  measuring_ = false;
  const std::uint64_t until = now_ns() + kFirstMessageTimeoutNs;
  while (options_.rate == 0 && left_out() > 0 && now_ns() < until) {
    for (const auto& event : clients_.wait(100)) {
      receive(Clients::client_of(event));
    }
  }
  if (options_.rate == 0 && left_out() > 0) {
    die(std::to_string(left_out()) + " of " + std::to_string(all_.size()) + " clients heard nothing");
  }
}

void Traffic::begin() {
  if (options_.rate > 0) {
    return;
  }
  if (!is_fanout()) {
    for (Client& client : all_) {
      std::string first;
      for (unsigned i = 0; i < options_.depth; ++i) {
        first += frame_.stamped(now_ns());
        ++sent_;
      }
      Clients::send_all(client, first);
    }
    return;
  }
  for (Room& room : rooms_) {
    for (unsigned i = 0; i < options_.window; ++i) {
      publish(room, now_ns());
    }
  }
}

void Traffic::loop() {
  std::uint64_t now = now_ns();
  while (now < stop_at_) {
    std::chrono::nanoseconds timeout = std::chrono::milliseconds{100};
    if (options_.rate > 0) {
      now = send_what_is_due(now);
      timeout = std::chrono::nanoseconds{std::max(0L, static_cast<long>(due_ns_ - static_cast<double>(now)))};
    }
    const auto events = clients_.wait(options_.spin ? std::chrono::nanoseconds{0} : timeout);
    now = now_ns();
    if (!measuring_ && now >= measure_from_) {
      measuring_ = true;
      measure_from_ = now;
      stop_at_ = now + ns_of(options_.seconds);
      base_ = snapshot(now);
    }
    for (const auto& event : events) {
      receive(Clients::client_of(event));
    }
  }
  last_ = snapshot(now_ns());
}

// A message is stamped with the moment it was due, so a server that stalls is not forgiven.
std::uint64_t Traffic::send_what_is_due(std::uint64_t now) {
  while (static_cast<double>(now) >= due_ns_) {
    const auto due = static_cast<std::uint64_t>(due_ns_);
    if (is_fanout()) {
      for (Room& room : rooms_) {
        publish(room, due);
      }
      due_ns_ += 1e9 / options_.rate;
    } else {
      // One after the other, evenly: a burst of all would measure itself.
      Clients::send_all(all_[turn_], frame_.stamped(due));
      ++sent_;
      turn_ = (turn_ + 1) % all_.size();
      due_ns_ += 1e9 / options_.rate / static_cast<double>(all_.size());
    }
  }
  return now;
}

void Traffic::receive(Client& client) {
  std::uint64_t read_at = 0;
  const bool any = clients_.receive(client, [this, &client, &read_at](std::string_view payload) {
    if (read_at == 0) {
      read_at = now_ns();
    }
    on_message(client, payload, read_at);
  });
  reads_ += any ? 1 : 0;
  if (!answers_.empty()) {
    Clients::send_all(client, answers_);
    answers_.clear();
  }
}

void Traffic::on_message(Client& client, std::string_view payload, std::uint64_t now) {
  if (client.role == Role::Publisher) {
    return;
  }
  ++messages_;
  client.heard = true;
  if (payload.size() != options_.payload) {
    die("a message of " + std::to_string(payload.size()) + " bytes");
  }
  const std::uint64_t stamp = StampedFrame::stamp_of(payload);
  if (measuring_ && stamp >= measure_from_) {
    latency_.add(now > stamp ? now - stamp : 0);
  }
  if (!is_fanout()) {
    if (options_.rate > 0) {
      return;
    }
    answers_ += frame_.stamped(now);
    ++sent_;
    return;
  }
  Room& room = rooms_[client.room];
  ++room.delivered;
  if (options_.rate == 0 && room.published - room.delivered / options_.conns < options_.window) {
    publish(room, now);
  }
}

void Traffic::publish(Room& room, std::uint64_t stamp) {
  ++room.published;
  ++sent_;
  Clients::send_all(*room.publishers[room.turn], frame_.stamped(stamp));
  room.turn = (room.turn + 1) % room.publishers.size();
}

Traffic::Snapshot Traffic::snapshot(std::uint64_t now) const {
  return {messages_,
          reads_,
          sent_,
          now,
          clock_ns(CLOCK_PROCESS_CPUTIME_ID),
          softirq_threads_ns(),
          machine_busy_ns(),
          process_use(options_.server_pid)};
}

double Traffic::latency_us(double percent) const { return static_cast<double>(latency_.percentile(percent)) / 1e3; }

void Traffic::report() const {
  const double ns = difference(last_.at_ns, base_.at_ns);
  const double seconds = ns / 1e9;
  const double messages = difference(last_.messages, base_.messages);
  const double per = std::max(messages, 1.0);
  const double server_ns = difference(last_.server.cpu_ns, base_.server.cpu_ns);
  const double client_ns = difference(last_.client_cpu_ns, base_.client_cpu_ns);
  const double softirq_ns = difference(last_.softirq_ns, base_.softirq_ns);
  const double others_ns =
      std::max(0.0, difference(last_.machine_ns, base_.machine_ns) - server_ns - client_ns - softirq_ns);
  std::printf(R"({"label":"%s","mode":"%s","conns":%zu,"rooms":%u,"publishers":%u,"payload":%u,"depth":%u,)"
              R"("window":%u,"rate":%g,"seconds":%.3f,"connect_ms":%.1f,)"
              R"("messages":%.0f,"per_s":%.0f,"sent_per_s":%.0f,"frames_per_read":%.2f,)"
              R"("lat_us":{"p50":%.1f,"p90":%.1f,"p99":%.1f,"p99_9":%.1f,"max":%.1f},)",
              options_.label.c_str(), options_.mode_name.c_str(), all_.size(), options_.rooms, options_.publishers,
              options_.payload, options_.depth, options_.window, options_.rate, seconds, connect_ms_, messages,
              messages / seconds, difference(last_.sent, base_.sent) / seconds,
              messages / std::max(1.0, difference(last_.reads, base_.reads)), latency_us(50), latency_us(90),
              latency_us(99), latency_us(99.9), static_cast<double>(latency_.max()) / 1e3);
  std::printf(
      R"("server":{"cpu_pct":%.1f,"ns_per_msg":%.1f,"user_s":%.2f,"sys_s":%.2f,"rss_kib":%llu,"ctx_switches":%llu},)"
      R"("client":{"cpu_pct":%.1f,"ns_per_msg":%.1f},"ksoftirqd_ns_per_msg":%.1f,"others_cpu_pct":%.1f})"
      "\n",
      server_ns / ns * 100, server_ns / per, last_.server.user_s - base_.server.user_s,
      last_.server.system_s - base_.server.system_s, static_cast<unsigned long long>(last_.server.rss_kib),
      static_cast<unsigned long long>(last_.server.context_switches - base_.server.context_switches),
      client_ns / ns * 100, client_ns / per, softirq_ns / per, others_ns / ns * 100);
}

}  // namespace jamsocket::bench
