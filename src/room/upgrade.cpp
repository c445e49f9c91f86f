// How a room comes from the code that made it to newer code.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "room/rebuild.hpp"
#include "store/packing.hpp"

namespace jamsocket::room {

using service::Fault;
using service::Outcome;
using service::ServiceInstance;

namespace {

using Made = std::expected<std::unique_ptr<ServiceInstance>, Fault>;

service::RoomStart start_of(const Rebuild& rebuild, service::CallMonitor* monitor) {
  return {.room_id = rebuild.stored.name.id,
          .seed = rebuild.birth.seed,
          .time_ms = rebuild.birth.time_ms,
          .monitor = monitor,
          .version = {}};
}

Outcome handle(ServiceInstance& instance, const service::Event& event, service::Effects& scratch, RoomSide& side) {
  const Outcome outcome = instance.handle(event, scratch);
  side.note_timer(scratch, event.time_ms);
  return outcome;
}

// The newest code handles all that the room's own code went through. A client that was refused then and is not now
// leaves at once: it is not there.
Made replay(Rebuild& rebuild, service::Service& service, service::Effects& scratch, service::CallMonitor* monitor) {
  if (!rebuild.whole || rebuild.whole->checkpoint) {
    return std::unexpected(Fault{Outcome::Trap, "its events are not kept from the first one on", {}});
  }
  auto instance = JAM_TRY(service.create(start_of(rebuild, monitor), scratch));
  RoomSide side;
  side.last_time_ms = rebuild.birth.time_ms;
  side.note_timer(scratch, rebuild.birth.time_ms);
  scratch.clear();
  for (const store::Record& record : rebuild.whole->tail) {
    auto recorded = decode_event(record.number, record.bytes);
    if (!recorded) {
      return std::unexpected(Fault{Outcome::Trap, recorded.error().message, {}});
    }
    side.note(recorded->event, recorded->outcome);
    if (recorded->outcome.outcome != Outcome::Done) {
      continue;
    }
    recorded->event.monitor = monitor;
    Outcome outcome = handle(*instance, recorded->event, scratch, side);
    if (outcome == Outcome::Done && recorded->outcome.refused && !scratch.refused()) {
      scratch.clear();
      recorded->event.kind = service::EventKind::Disconnect;
      recorded->event.connect_info = nullptr;
      outcome = handle(*instance, recorded->event, scratch, side);
    }
    scratch.clear();
    if (outcome != Outcome::Done) {
      const Fault& fault = instance->fault();
      return std::unexpected(Fault{
          outcome, fmt::format("the new code fails at event {}: {}", record.number, fault.reason), fault.backtrace});
    }
  }
  rebuild.side = std::move(side);
  return instance;
}

Made migrate(const Rebuild& rebuild, service::Service& service, service::Effects& scratch,
             service::CallMonitor* monitor) {
  if (!service.can_migrate(rebuild.version)) {
    return std::unexpected(Fault{Outcome::Trap, "the old code has no save, or the new one no load", {}});
  }
  const auto old = JAM_TRY(run(rebuild, service, scratch, monitor));
  const std::string saved = JAM_TRY(old->save(start_of(rebuild, monitor)));
  return service.migrate(start_of(rebuild, monitor), saved);
}

Made upgrade(Rebuild& rebuild, service::Service& service, service::Effects& scratch, service::CallMonitor* monitor) {
  // Nothing ever happened to it: there is nothing that only its own code knows.
  const bool is_new = !rebuild.stored.checkpoint && rebuild.stored.tail.empty();
  if (is_new) {
    rebuild.whole = rebuild.stored;
  }
  auto instance = JAM_TRY(rebuild.upgrade == Upgrade::Migrate && !is_new ? migrate(rebuild, service, scratch, monitor)
                                                                         : replay(rebuild, service, scratch, monitor));
  std::string state;
  if (instance->capture(state) != Outcome::Done) {
    return std::unexpected(Fault{Outcome::Trap, "the room cannot be captured", {}});
  }
  rebuild.version = service.version();
  rebuild.upgraded = store::pack(
      {.key = rebuild.stored.key,
       .checkpoint = {
           .number = rebuild.side.last_event,
           .timer_ms = rebuild.side.timer_ms,
           .bytes = encode(CheckpointParts{.side = rebuild.side, .version = rebuild.version, .state = state})}});
  return instance;
}

}  // namespace

Made bring_back(Rebuild& rebuild, service::Service& service, service::Effects& scratch, service::CallMonitor* monitor) {
  if (rebuild.upgrade != Upgrade::Keep) {
    auto upgraded = upgrade(rebuild, service, scratch, monitor);
    if (upgraded || !rebuild.may_keep) {
      return upgraded;
    }
    rebuild.upgrade_fault = std::move(upgraded).error();
    scratch.clear();
    // After a replay nobody could know that its own code would be needed: see Durable::must_load.
    const bool takes_long = monitor != nullptr && service.must_load(rebuild.version);
    if (takes_long && monitor->call_runs_long() == service::CallMonitor::Verdict::End) {
      return std::unexpected(Fault{
          Outcome::CpuLimit, "its code had to be loaded while the server was stopping or had too many slow calls", {}});
    }
  }
  return run(rebuild, service, scratch, monitor);
}

}  // namespace jamsocket::room
