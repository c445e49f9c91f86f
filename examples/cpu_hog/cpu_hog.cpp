// examples/cpu_hog/cpu_hog.cpp
//
// Loops for ever when told to: what the server's CPU limit is for.
//
// As a module, the call is ended when its CPU budget is used up (100 ms), and only this room is
// the worse for it. A native service is trusted: there, nothing would end the loop.

#include <cstdint>
#include <string>

#include <jamsocket/service.hpp>

class CpuHog {
 public:
  CpuHog(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  /// "hog" never returns; any other text is echoed.
  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    while (text == "hog") {
      rounds_ = rounds_ + 1;
    }
    context.send_message(client, text);
  }

 private:
  volatile std::uint32_t rounds_ = 0;  // Volatile: a loop without any effect could be compiled away.
};

JAMSOCKET_WASM(CpuHog)
