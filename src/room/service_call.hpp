// room/service_call.hpp
//
// Everything that one call into a service touches.
//
// Heap data with no pointer into a loop's stack: while `run` is under way another thread may take
// the loop over, and the call ends where it began.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.hpp"
#include "room/rebuild.hpp"
#include "service/service.hpp"

namespace jamsocket::room {

class Room;

struct ServiceCall;

/// Decides what becomes of a call that takes long. On the thread of the call.
class SlowCallHost {
 public:
  virtual ~SlowCallHost() = default;
  virtual service::CallMonitor::Verdict call_runs_long(ServiceCall& call) = 0;
};

struct ServiceCall final : service::CallMonitor {
  enum class Place : std::uint8_t {
    Loop,  ///< On the thread that runs the shard's loop.
    Slow,  ///< On a slow thread: the loop goes on without it.
  };

  ServiceCall(const service::EffectLimits& limits, SlowCallHost& slow_host)
      : effects(limits), start_effects(limits), host(slow_host) {}

  Room* room = nullptr;
  service::Service* service = nullptr;
  service::ServiceInstance* instance = nullptr;  ///< Null: `run` makes one first.
  service::RoomStart start;                      ///< For that.
  std::unique_ptr<Rebuild> rebuild;              ///< If set, that brings the instance back instead.
  service::Event event;

  std::unique_ptr<service::ServiceInstance> created;  ///< What `run` made.
  service::Effects effects;
  service::Effects start_effects;  ///< Of the constructor.
  service::Outcome outcome = service::Outcome::Done;
  service::Fault fault;  ///< Where the outcome is not Done.

  Place place = Place::Loop;            ///< Written by the thread of the call only.
  bool ran_long = false;                ///< The same.
  bool is_lowered = false;              ///< The same: it runs when nobody else wants to,
  bool is_first_turn = false;           ///< and has not yet done so for long.
  bool loads_code = false;              ///< Waits for a disk and a compiler first. The loop's.
  bool is_timed = false;                ///< Whether `run` is to measure what it costs.
  std::chrono::nanoseconds cpu_time{};  ///< Of the event, if so.
  /// On a slow thread: of that thread, when the call came to it, and what the call used there.
  std::chrono::nanoseconds cpu_before{};
  std::chrono::nanoseconds cpu_used{};
  std::atomic<bool> must_end{false};  ///< Set by the loop; looked at while the call runs long.
  /// On a slow thread: the loop's receive buffer of when the call left it, for the event may refer to it.
  std::vector<char> received{};
  std::atomic<pid_t> thread{0};  ///< The slow thread on which it is; 0: none has taken it yet.
  SteadyTime slow_since{};       ///< When it left the loop, or was given to slow threads. The loop's.
  bool is_hastened = false;      ///< Its thread was given a share of the processor. The loop's.

  /// Makes the instance if there is none, and hands it the event.
  void run();

  Verdict call_runs_long() override {
    if (!ran_long) {
      ran_long = true;
      cpu_before = place == Place::Loop ? thread_cpu_time() : cpu_before;
    }
    return host.call_runs_long(*this);
  }

  SlowCallHost& host;

 private:
  /// @return whether it is there; if not, the outcome and the fault say why.
  [[nodiscard]] bool make_instance();
  [[gnu::noinline]] void take_fault();  // Inlined, the usual call would save registers for it.
};

}  // namespace jamsocket::room
