#include "service/event.hpp"

#include "service/service.hpp"

namespace jamsocket::service {

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
