// server/room_facts.hpp
//
// What an operator is told of rooms and clients, and how they are closed from outside.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "jamsocket/service.hpp"
#include "room/room.hpp"

namespace jamsocket::server {

struct RoomFacts {
  std::string service;  ///< In paths; empty: the unnamed one.
  std::string id;
  std::size_t clients = 0;
  std::size_t shard = 0;
};

struct ClientFacts {
  ClientId id{};
  room::LinkFacts link;
};

struct RoomDetails {
  RoomFacts room;
  std::vector<ClientFacts> clients;
};

struct Closing {
  std::uint16_t code = 1001;
  std::string reason;  ///< At most 123 bytes.
};

}  // namespace jamsocket::server
