// room/service_call.hpp
//
// Everything that one call into a service touches.
//
// Heap data with no pointer into a loop's stack: while `run` is under way another thread may take
// the loop over, and the call ends where it began.

#pragma once

#include <memory>
#include <string>

#include "service/service.hpp"

namespace jamsocket::room {

class Room;

struct ServiceCall {
  explicit ServiceCall(const service::EffectLimits& limits) : effects(limits), start_effects(limits) {}

  Room* room = nullptr;
  service::Service* service = nullptr;
  service::ServiceInstance* instance = nullptr;        ///< Null: `run` makes one first.
  service::RoomStart start;                            ///< For that.
  service::Event event;

  std::unique_ptr<service::ServiceInstance> created;   ///< What `run` made.
  service::Effects effects;
  service::Effects start_effects;                      ///< Of the constructor.
  service::Outcome outcome = service::Outcome::Done;
  service::Fault fault;                                ///< Where the outcome is not Done.

  /// Makes the instance if there is none, and hands it the event.
  void run();
};

}  // namespace jamsocket::room
