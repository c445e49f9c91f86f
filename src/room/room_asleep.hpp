// room/room_asleep.hpp
//
// What is left in memory of a durable room that sleeps while clients are connected to it: who they are. All else is
// stored, and read again when it wakes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include "jamsocket/service.hpp"
#include "room/client_link.hpp"

namespace jamsocket::room {

struct RoomAsleep {
  struct Member {
    ClientId client;
    ClientLink* link;
  };

  RoomAsleep(std::string_view service, std::string_view name, std::pmr::memory_resource& memory)
      : service_path(service), id(name, &memory), members(&memory) {}

  std::string_view service_path;  ///< Room::service_path.
  std::pmr::string id;
  std::pmr::vector<Member> members;  ///< By rising id; never empty.
  std::int64_t timer_ms = 0;         ///< When its timer is due, in Unix milliseconds; 0: it has none.
  std::uint32_t last_client = 0;
};

}  // namespace jamsocket::room
