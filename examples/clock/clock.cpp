// examples/clock/clock.cpp
//
// Tells everyone the time once a second, while somebody is there to hear it: the timer.

#include <cstdint>
#include <string>

#include <jamsocket/service.hpp>

class Clock {
 public:
  Clock(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  void connect(jamsocket::ClientId client, jamsocket::Context& context) {
    context.send_message(client, time_of_day(context.now()));
    if (++clients_ == 1) {
      context.set_timer(kTickMs);
    }
  }

  void disconnect(jamsocket::ClientId /*client*/, jamsocket::Context& context) {
    if (--clients_ == 0) {
      context.set_timer(0);  // Cancels: an empty room costs nothing.
    }
  }

  /// "stop" and "start" are for everyone in the room.
  void message(jamsocket::ClientId /*client*/, std::string_view text, jamsocket::Context& context) {
    if (text == "stop") {
      context.set_timer(0);
    } else if (text == "start") {
      context.set_timer(kTickMs);
    }
  }

  void timer(jamsocket::Context& context) {
    context.send_message(jamsocket::broadcast, time_of_day(context.now()));
    context.set_timer(kTickMs);
  }

 private:
  static constexpr std::uint32_t kTickMs = 1000;

  /// "22:13:20 UTC"
  static std::string time_of_day(std::int64_t unix_ms) {
    const std::int64_t second = unix_ms / 1000 % 86'400;
    return two_digits(second / 3600) + ":" + two_digits(second / 60 % 60) + ":" + two_digits(second % 60) + " UTC";
  }

  static std::string two_digits(std::int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); }

  int clients_ = 0;
};

JAMSOCKET_WASM(Clock)
