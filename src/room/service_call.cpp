#include "room/service_call.hpp"

#include <utility>

#include "base/clock.hpp"

namespace jamsocket::room {

void ServiceCall::run() {
  if (instance == nullptr && !make_instance()) [[unlikely]] {
    return;
  }
  const auto before = is_timed ? thread_cpu_time() : std::chrono::nanoseconds{};
  outcome = instance->handle(event, effects);
  cpu_time = is_timed ? thread_cpu_time() - before : std::chrono::nanoseconds{};
  if (outcome != service::Outcome::Done) [[unlikely]] {
    take_fault();
  }
}

void ServiceCall::take_fault() { fault = instance->fault(); }

bool ServiceCall::make_instance() {
  auto made = rebuild ? bring_back(*rebuild, *service, start_effects, this) : service->create(start, start_effects);
  if (!made) {
    outcome = made.error().outcome;
    fault = std::move(made).error();
    return false;
  }
  created = std::move(*made);
  instance = created.get();
  return true;
}

}  // namespace jamsocket::room
