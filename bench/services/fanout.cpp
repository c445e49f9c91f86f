// services/fanout.cpp
//
// The chat without its words: what a client sends reaches everyone else in the room, unchanged.

#include <jamsocket/service.hpp>

class Fanout {
 public:
  Fanout(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    context.send_message(jamsocket::everyone_except(client), text);
  }

  void binary(jamsocket::ClientId client, jamsocket::Bytes bytes, jamsocket::Context& context) {
    context.send_binary(jamsocket::everyone_except(client), bytes);
  }
};

JAMSOCKET_WASM(Fanout)
