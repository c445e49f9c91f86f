#include "server/verifications.hpp"

#include <string>
#include <utility>

#include "room/verify.hpp"

namespace jamsocket::server {

void Verifications::verify_later(store::StoredRoom room, store::Checkpoint taken) {
  const bool waits = queue_.enqueue(
      [this, room = std::move(room), taken = std::move(taken)]() mutable { verify(std::move(room), taken); });
  if (!waits) {
    surroundings_.count(Counter::RoomsNotVerified);
  }
}

void Verifications::verify(store::StoredRoom room, const store::Checkpoint& taken) {
  const HostedServicePtr hosted = surroundings_.find(room.name.service);
  if (hosted == nullptr) {
    surroundings_.count(Counter::RoomsNotVerified);
    return;
  }
  const std::string id = room.name.id;
  const room::Verification done = room::verify(std::move(room), taken, *hosted->service, surroundings_.effects);
  surroundings_.count(done.verdict == room::Verdict::Same      ? Counter::RoomsVerified
                      : done.verdict == room::Verdict::Differs ? Counter::RoomsDiverged
                                                               : Counter::RoomsNotVerified);
  if (done.verdict == room::Verdict::Differs) {
    surroundings_.logger.error(
        "room.diverged",
        {{"service", hosted->service->name()}, {"room", id}, {"event", taken.number}, {"reason", done.reason}});
  }
}

}  // namespace jamsocket::server
