#include "native_services.hpp"

// The same sources that become modules: JAMSOCKET_WASM is nothing in a native build.
#define JAMSOCKET_EXAMPLE_NO_MAIN
// NOLINTBEGIN(bugprone-suspicious-include): each is one file, that its module is built from.
#include "chat/chat.cpp"
#include "clock/clock.cpp"
#include "counter/counter.cpp"
#include "cpu_hog/cpu_hog.cpp"
#include "echo/echo.cpp"
#include "native_server/native_server.cpp"
#include "probe.cpp"
#include "randomness/randomness.cpp"
// NOLINTEND(bugprone-suspicious-include)

namespace jamsocket::test {

detail::NativeServiceFactory native_service(std::string_view name) {
  if (name == "chat") {
    return detail::native_service_factory<ChatRoom>();
  }
  if (name == "clock") {
    return detail::native_service_factory<::Clock>();
  }
  if (name == "counter") {
    return detail::native_service_factory<SharedCounter>();
  }
  if (name == "cpu_hog") {
    return detail::native_service_factory<CpuHog>();
  }
  if (name == "echo") {
    return detail::native_service_factory<Echo>();
  }
  if (name == "native_server") {
    return detail::native_service_factory<Auction>();
  }
  if (name == "probe") {
    return detail::native_service_factory<Probe>();
  }
  if (name == "randomness") {
    return detail::native_service_factory<Randomness>();
  }
  return {};
}

}  // namespace jamsocket::test
