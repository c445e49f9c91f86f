// examples/native_server/native_server.cpp
//
// A program of its own with rooms in it: no module, no sandbox, one executable.
//
// The service is an auction: the highest bid wins, everybody sees it.

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <jamsocket/server.hpp>

class Auction {
 public:
  Auction(std::string_view room_id, jamsocket::Context& /*context*/) : item_(room_id) {}

  void connect(jamsocket::ClientId client, jamsocket::Context& context) {
    context.send_message(client, item_ + ": " + std::to_string(highest_));
  }

  /// A bid is a whole number of coins above the highest so far.
  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    std::uint32_t bid = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bid);
    if (error != std::errc{} || end != text.data() + text.size()) {
      context.send_message(client, "a bid is a whole number");
    } else if (bid <= highest_) {
      context.send_message(client, "too low: the highest bid is " + std::to_string(highest_));
    } else {
      highest_ = bid;
      context.send_message(jamsocket::broadcast, item_ + ": " + std::to_string(highest_));
    }
  }

 private:
  std::string item_;
  std::uint32_t highest_ = 0;
};

#ifndef JAMSOCKET_EXAMPLE_NO_MAIN
int main(int argument_count, char** arguments) {
  jamsocket::ServerOptions options;
  options.port = 8080;  // The environment's PORT and HOST count where the default is left as it is.
  if (argument_count > 1) {
    options.static_dir = arguments[1];
  }
  return jamsocket::serve<Auction>(options);
}
#endif
