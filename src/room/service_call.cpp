#include "room/service_call.hpp"

#include <utility>

namespace jamsocket::room {

void ServiceCall::run() {
  if (instance == nullptr) {
    auto made = service->create(start, start_effects);
    if (!made) {
      outcome = made.error().outcome;
      fault = std::move(made).error();
      return;
    }
    created = std::move(*made);
    instance = created.get();
  }
  outcome = instance->handle(event, effects);
  if (outcome != service::Outcome::Done) [[unlikely]] {
    fault = instance->fault();
  }
}

}  // namespace jamsocket::room
