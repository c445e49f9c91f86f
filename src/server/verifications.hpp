// server/verifications.hpp
//
// Runs kept rooms' events again beside the server, on a thread of its own, whenever one takes a checkpoint, and says
// where what comes out is not what the room was.

#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "base/counters.hpp"
#include "base/log.hpp"
#include "server/background_tasks.hpp"
#include "server/services.hpp"
#include "service/effects.hpp"
#include "store/types.hpp"

namespace jamsocket::server {

class Verifications {
 public:
  struct Surroundings {
    std::function<HostedServicePtr(std::string_view own_name)> find;
    std::function<void(Counter)> count;  ///< From any thread.
    Logger& logger;
    const service::EffectLimits& effects;
    std::size_t waiting_max;  ///< Each holds a room and a checkpoint in memory.
  };
  explicit Verifications(Surroundings surroundings)
      : surroundings_(std::move(surroundings)), queue_(surroundings_.waiting_max) {}

  /// A checkpoint that finds too many others waiting is not looked at. The store's thread.
  void verify_later(store::StoredRoom room, store::Checkpoint taken);
  /// Those that wait are dropped.
  void stop() { queue_.stop(); }

 private:
  void verify(store::StoredRoom room, const store::Checkpoint& taken);

  Surroundings surroundings_;
  BackgroundTasks queue_;
};

}  // namespace jamsocket::server
