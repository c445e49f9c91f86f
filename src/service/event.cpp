#include "service/event.hpp"

#include <algorithm>

#include "service/service.hpp"

namespace jamsocket::service {

bool offers_subprotocol(const ConnectInfo& info, std::string_view name) {
  using Header = std::pair<std::string, std::string>;
  const auto header = std::ranges::find(info.headers, kSubprotocolHeader, &Header::first);
  if (header == info.headers.end() || name.empty()) {
    return false;
  }
  // Names as the server wrote them: separated by a comma and a space.
  constexpr std::string_view kSeparator = ", ";
  std::string_view rest = header->second;
  for (;;) {
    const std::size_t end = rest.find(kSeparator);
    if (rest.substr(0, end) == name) {
      return true;
    }
    if (end == std::string_view::npos) {
      return false;
    }
    rest.remove_prefix(end + kSeparator.size());
  }
}

std::string_view to_string(EventKind kind) {
  switch (kind) {
    case EventKind::Connect:
      return "connect";
    case EventKind::Disconnect:
      return "disconnect";
    case EventKind::Text:
      return "message";
    case EventKind::Binary:
      return "binary";
    case EventKind::Timer:
      return "timer";
  }
  return "unknown";
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::Done:
      return "done";
    case Outcome::Trap:
      return "trap";
    case Outcome::CpuLimit:
      return "cpu_limit";
    case Outcome::MemoryLimit:
      return "memory_limit";
    case Outcome::EffectLimit:
      return "effect_limit";
    case Outcome::BadCall:
      return "bad_call";
  }
  return "unknown";
}

}  // namespace jamsocket::service
