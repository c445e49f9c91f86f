// examples/echo/echo.cpp
//
// Sends every message back to the client it came from: text as text, bytes as bytes.

#include <jamsocket/service.hpp>

class Echo {
 public:
  Echo(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    context.send_message(client, text);
  }

  void binary(jamsocket::ClientId client, jamsocket::Bytes bytes, jamsocket::Context& context) {
    context.send_binary(client, bytes);
  }
};

JAMSOCKET_WASM(Echo)
