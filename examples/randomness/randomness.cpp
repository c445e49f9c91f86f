// examples/randomness/randomness.cpp
//
// Dice and random bytes: unpredictable to clients, and the same again when a room is replayed.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <jamsocket/service.hpp>

class Randomness {
 public:
  Randomness(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  /// "roll": everyone sees a die. "bytes": the sender alone gets 16 random bytes.
  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    if (text == "roll") {
      context.send_message(jamsocket::broadcast, "rolled " + std::to_string(roll(context)));
    } else if (text == "bytes") {
      std::array<std::byte, 16> bytes{};
      context.random(bytes);
      context.send_binary(client, bytes);
    } else {
      context.send_message(client, "say \"roll\" or \"bytes\"");
    }
  }

 private:
  /// 1 to 6, each as likely as the others: 252 is the largest multiple of 6 that a byte can hold.
  static int roll(jamsocket::Context& context) {
    std::array<std::byte, 1> byte{};
    do {
      context.random(byte);
    } while (std::to_integer<int>(byte[0]) >= 252);
    return 1 + std::to_integer<int>(byte[0]) % 6;
  }
};

JAMSOCKET_WASM(Randomness)
