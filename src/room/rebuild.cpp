#include "room/rebuild.hpp"

#include <fmt/format.h>

#include <utility>

namespace jamsocket::room {

using service::Fault;
using service::Outcome;

Result<std::unique_ptr<Rebuild>> Rebuild::from(store::StoredRoom stored) {
  auto rebuild = std::make_unique<Rebuild>();
  rebuild->birth = JAM_TRY(decode_birth(stored.birth));
  rebuild->version = rebuild->birth.version;
  rebuild->side.last_time_ms = rebuild->birth.time_ms;
  if (stored.checkpoint) {
    CheckpointParts parts = JAM_TRY(decode_checkpoint(stored.checkpoint->bytes));
    rebuild->side = std::move(parts.side);
    rebuild->version = std::move(parts.version);
  }
  for (const store::Record& record : stored.tail) {
    const RecordedEvent recorded = JAM_TRY(decode_event(record.number, record.bytes));
    rebuild->side.note(recorded.event, recorded.outcome);
    rebuild->side.timer_ms = record.timer_ms;
  }
  rebuild->stored = std::move(stored);
  return rebuild;
}

std::expected<std::unique_ptr<service::ServiceInstance>, Fault> run(const Rebuild& rebuild, service::Service& service,
                                                                    service::Effects& scratch,
                                                                    service::CallMonitor* monitor,
                                                                    const ReplayWatcher& watcher) {
  const service::RoomStart start{.room_id = rebuild.stored.name.id,
                                 .seed = rebuild.birth.seed,
                                 .time_ms = rebuild.birth.time_ms,
                                 .monitor = monitor,
                                 .version = rebuild.version};
  std::unique_ptr<service::ServiceInstance> instance;
  if (rebuild.stored.checkpoint) {
    const auto parts = decode_checkpoint(rebuild.stored.checkpoint->bytes);
    if (!parts) {
      return std::unexpected(Fault{Outcome::Trap, parts.error().message, {}});
    }
    instance = JAM_TRY(service.restore(start, parts->state));
  } else {
    instance = JAM_TRY(service.create(start, scratch));
    scratch.clear();
  }
  for (const store::Record& record : rebuild.stored.tail) {
    auto recorded = decode_event(record.number, record.bytes);
    if (!recorded) {
      return std::unexpected(Fault{Outcome::Trap, recorded.error().message, {}});
    }
    if (recorded->outcome.outcome != Outcome::Done) {
      continue;  // It was undone.
    }
    recorded->event.monitor = monitor;
    const Outcome outcome = instance->handle(recorded->event, scratch);
    if (watcher) {
      watcher(*recorded, scratch);
    }
    scratch.clear();
    if (outcome != Outcome::Done) {
      const Fault& fault = instance->fault();
      return std::unexpected(Fault{
          outcome, fmt::format("event {} went well when it happened and does not now: {}", record.number, fault.reason),
          fault.backtrace});
    }
  }
  return instance;
}

}  // namespace jamsocket::room
