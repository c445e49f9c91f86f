// A room's part in what goes wrong in it: what the service says into the log, and events that failed.

#include <chrono>
#include <utility>
#include <vector>

#include "room/room.hpp"
#include "service/random.hpp"

namespace jamsocket::room {

using service::Effect;
using service::EffectKind;
using service::Outcome;

void Room::write_log(const Effect& effect, std::string_view text) {
  if (!may_log()) {
    return;
  }
  host_.logger().log(effect.level, "room.log", {{"service", service_.name()}, {"room", id_}, {"text", text}});
}

// Of one event; what several log together may_log bounds.
void Room::note_dropped_lines(const service::Effects& effects) {
  if (const auto limit = effects.log_limit_passed()) {
    host_.limit_hit(*limit, *this);
  }
}

bool Room::may_log() {
  if (host_.steady_now() - log_since_ >= std::chrono::seconds{1}) {
    log_since_ = host_.steady_now();
    log_lines_ = 0;
  }
  if (log_lines_ < settings_.log_lines_per_second_max) {
    ++log_lines_;
    return true;
  }
  host_.limit_hit(Counter::LogLinesDropped, *this);
  if (log_lines_ == settings_.log_lines_per_second_max) {
    ++log_lines_;
    host_.logger().warn(
        "room.log_dropped",
        {{"service", service_.name()}, {"room", id_}, {"lines_per_second_max", settings_.log_lines_per_second_max}});
  }
  return false;
}

void Room::count_failure(const ServiceCall& call) {
  counters_.add(Counter::EventsFailed);
  if (call.fault.limit) {
    host_.limit_hit(*call.fault.limit, *this);
  }
  switch (call.outcome) {
    case Outcome::CpuLimit:
      return counters_.add(Counter::EventsOverCpu);
    case Outcome::MemoryLimit:
      return counters_.add(Counter::EventsOverMemory);
    case Outcome::EffectLimit:
      return counters_.add(Counter::EventsOverEffects);
    case Outcome::BadCall:
      return counters_.add(Counter::EventsBadCall);
    case Outcome::Trap:
    case Outcome::Done:
      return counters_.add(Counter::EventsTrapped);
  }
}

// What the guest logged before it failed, and the failure.
void Room::log_failure(std::string_view line, const ServiceCall& call) {
  for (const Effect& effect : call.effects.list()) {
    if (effect.kind == EffectKind::Log) {
      write_log(effect, call.effects.bytes_of(effect));
    }
  }
  note_dropped_lines(call.effects);
  host_.logger().error(line, {{"service", service_.name()},
                              {"room", id_},
                              {"event_kind", to_string(call.event.kind)},
                              {"event_number", call.event.number},
                              {"client", static_cast<std::uint32_t>(call.event.client)},
                              {"cause", to_string(call.outcome)},
                              {"reason", call.fault.reason},
                              {"backtrace", call.fault.backtrace},
                              {"clients", members_.size()}});
}

void Room::fail(const ServiceCall& call) {
  count_failure(call);
  counters_.add(Counter::RoomsFailed);
  log_failure("room.failed", call);
  const std::vector<Member> members = std::exchange(members_, {});
  for (const Member& member : members) {
    member.link->room_failed();
  }
  if (returning_) {
    returning_->clear();
  }
  host_.room_failed(*this);
  if (settings_.after_failure == RoomSettings::AfterFailure::End || closing_) {
    end();
  } else {
    start_afresh();
  }
}

void Room::start_afresh() {
  instance_.reset();
  drop_events();
  service_timer_.cancel();
  seed_ = service::random_seed();
  last_client_ = 0;
  last_event_ = 0;
  readers_paused_ = false;
  had_client_ = true;
  closing_ = false;
}

}  // namespace jamsocket::room
