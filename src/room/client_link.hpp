// room/client_link.hpp
//
// One client's connection, as its room sees it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "jamsocket/service.hpp"
#include "room/message.hpp"

namespace jamsocket::room {

class Room;
struct RoomAsleep;

/// What a connection tells of itself to an operator.
struct LinkFacts {
  std::string remote_address;    ///< Without port; empty: not known.
  std::size_t queued_bytes = 0;  ///< Waiting for its socket.
  bool is_absent = false;        ///< Its connection ended, and its place is kept for a while.
};

/// How a client is told the token by which it comes back.
struct Telling {
  bool by_header = true;    ///< Of the answer to its upgrade request.
  bool by_message = false;  ///< Its first one.
};

/// One client's connection, as its room sees it. None of these may call back into the room.
class ClientLink {
 public:
  virtual ~ClientLink() = default;
  /// `connect` chose this subprotocol of those that the client offers. Comes before `admitted`.
  virtual void subprotocol_accepted(std::string_view name) = 0;
  /// `connect` ran: the client is in. Comes before any `push`.
  virtual void admitted() = 0;
  /// `connect` said no. The room has forgotten the client.
  virtual void refused(std::string_view reason) = 0;
  /// The room broke down, before or after the admission. The room has forgotten the client.
  virtual void room_failed() = 0;
  /// A message; its payload is valid until this returns, its forms until the turn ends.
  virtual void push(Message& message) = 0;
  /// The service closed the client. The room has forgotten it.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;
  /// After `leave_in_order`: all that the client said was heard. The room has forgotten the client.
  virtual void left() = 0;
  /// The room's inbox is no longer full.
  virtual void resume_reading() = 0;
  [[nodiscard]] virtual LinkFacts facts() const { return {}; }
  /// The room sleeps: until `room_wakes` it is not there, and whoever has something for it wakes it first.
  virtual void room_sleeps(RoomAsleep& /*asleep*/) {}
  virtual void room_wakes(Room& /*room*/) {}
  /// The client's number: what `join` returned stood for it while the room was being looked up.
  virtual void numbered(ClientId client) = 0;
  /// The token by which the client can come back; before `admitted`. Valid until this returns.
  virtual void can_return(std::string_view /*resume*/, const Telling& /*telling*/) {}
  /// There is no such room, as looking it up has shown. The room has forgotten the client.
  virtual void room_unknown() = 0;
  /// The room cannot go on for now; trying later may work. The room has forgotten the client.
  virtual void unavailable(std::string_view reason) = 0;
};

}  // namespace jamsocket::room
