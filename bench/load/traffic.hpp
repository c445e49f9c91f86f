// load/traffic.hpp
//
// The two modes with messages under way: echo, where every client keeps some in flight and expects
// each back, and fan-out, where every message must reach every subscriber of its room.
//
// What is counted is what arrived inside the measured window, which follows a warm-up; the server's
// CPU clock is read at its two ends. A publisher's own copies count for nothing, so a service may
// send to everyone or to everyone but the sender.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "load/clients.hpp"
#include "load/histogram.hpp"
#include "load/machine.hpp"

namespace jamsocket::bench {

class Traffic {
 public:
  explicit Traffic(const LoadOptions& options);
  /// Runs warm-up and window, and prints one line of JSON.
  void run();

 private:
  struct Room {
    std::vector<Client*> publishers;
    std::size_t turn = 0;  ///< Whose turn among the publishers it is.
    std::uint64_t published = 0;
    std::uint64_t delivered = 0;
  };
  struct Snapshot {
    std::uint64_t messages = 0, reads = 0, sent = 0;
    std::uint64_t at_ns = 0, client_cpu_ns = 0, softirq_ns = 0, machine_ns = 0;
    ProcessUse server;
  };

  [[nodiscard]] bool is_fanout() const { return options_.mode == Mode::Fanout; }
  void assign_rooms();
  void begin();
  void check_that_all_took_part();
  void loop();
  std::uint64_t send_what_is_due(std::uint64_t now);
  void receive(Client& client);
  void on_message(Client& client, std::string_view payload, std::uint64_t now);
  void publish(Room& room, std::uint64_t stamp);
  [[nodiscard]] Snapshot snapshot(std::uint64_t now) const;
  void report() const;
  [[nodiscard]] double latency_us(double percent) const;

  const LoadOptions& options_;
  Clients clients_;
  std::vector<Client> all_;
  std::vector<Room> rooms_;
  StampedFrame frame_;
  std::string answers_;  ///< What the client being served sends: one call a read, as a pipelining client would.
  Histogram latency_;
  bool measuring_ = false;
  std::uint64_t measure_from_ = 0;
  std::uint64_t stop_at_ = 0;
  double due_ns_ = 0;     ///< Open loop: the intended moment of the next messages.
  std::size_t turn_ = 0;  ///< Open loop of echoes: whose turn it is.
  std::uint64_t messages_ = 0, reads_ = 0, sent_ = 0;
  double connect_ms_ = 0;
  Snapshot base_, last_;
};

}  // namespace jamsocket::bench
