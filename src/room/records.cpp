#include "room/records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "jamsocket/state.hpp"

namespace jamsocket::room {
namespace {

using service::EventKind;
using service::Outcome;

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kEventHeadBytes = 15;
static_assert(std::endian::native == std::endian::little, "an event's head is written as it lies in memory");

Result<Reader> reader_of(std::string_view bytes, std::string_view what) {
  Reader reader(bytes);
  const auto format = reader.get<std::uint8_t>();
  if (format > kFormat) {
    return fail(
        ErrorCode::Unsupported,
        fmt::format("{} is in format {}, which a newer version wrote; this one reads up to {}", what, format, kFormat));
  }
  if (format == 0) {
    return fail(ErrorCode::Malformed, fmt::format("{} is not readable", what));
  }
  return reader;
}

}  // namespace

std::string encode(const Birth& birth) {
  Writer writer;
  writer.put(kFormat);
  writer.put_rest({reinterpret_cast<const char*>(birth.seed.data()), birth.seed.size()});
  writer.put(birth.time_ms);
  writer.put(birth.version);
  return writer.take();
}

Result<Birth> decode_birth(std::string_view bytes) {
  Reader reader = JAM_TRY(reader_of(bytes, "what it started from"));
  Birth birth;
  for (std::byte& byte : birth.seed) {
    byte = reader.get<std::byte>();
  }
  reader.get(birth.time_ms);
  reader.get(birth.version);
  if (!reader.ok() || !reader.at_end()) {
    return fail(ErrorCode::Malformed, "what it started from is not readable");
  }
  return birth;
}

std::string encode(const service::Event& event, EventOutcome outcome) {
  std::string out;
  append(out, event, outcome);
  return out;
}

void append(std::string& out, const service::Event& event, EventOutcome outcome) {
  char head[kEventHeadBytes];
  head[0] = static_cast<char>(event.kind);
  head[1] = static_cast<char>(outcome.outcome);
  head[2] = outcome.refused ? 1 : 0;
  const auto client = static_cast<std::uint32_t>(event.client);
  std::memcpy(head + 3, &client, sizeof client);
  std::memcpy(head + 7, &event.time_ms, sizeof event.time_ms);
  out.append(head, sizeof head);
  if (event.kind != EventKind::Connect) {
    out.append(event.payload);
    return;
  }
  const service::ConnectInfo nothing;
  const service::ConnectInfo& info = event.connect_info != nullptr ? *event.connect_info : nothing;
  Writer writer;
  writer.put(info.query);
  writer.put(info.remote_address);
  writer.put(info.headers);
  if (!info.subject.empty() || !info.claims.empty()) {
    // Not always: what was written before there were tokens ends here as well.
    writer.put(info.subject);
    writer.put(info.claims);
  }
  out.append(writer.bytes());
}

Result<RecordedEvent> decode_event(std::uint64_t number, std::string_view bytes) {
  Reader reader(bytes);
  RecordedEvent recorded;
  recorded.event.number = number;
  recorded.event.replayed = true;
  reader.get(recorded.event.kind);
  reader.get(recorded.outcome.outcome);
  reader.get(recorded.outcome.refused);
  reader.get(recorded.event.client);
  reader.get(recorded.event.time_ms);
  if (recorded.event.kind == EventKind::Connect) {
    recorded.info = std::make_unique<service::ConnectInfo>();
    reader.get(recorded.info->query);
    reader.get(recorded.info->remote_address);
    reader.get(recorded.info->headers);
    if (reader.ok() && !reader.at_end()) {
      reader.get(recorded.info->subject);
      reader.get(recorded.info->claims);
    }
    recorded.event.connect_info = recorded.info.get();
  } else {
    recorded.event.payload = reader.rest();
  }
  const bool is_kind = recorded.event.kind >= EventKind::Connect && recorded.event.kind <= EventKind::Timer;
  if (!reader.ok() || !reader.at_end() || !is_kind || recorded.outcome.outcome > Outcome::BadCall) {
    return fail(ErrorCode::Malformed, fmt::format("event {} is not readable", number));
  }
  return recorded;
}

void RoomSide::note(const service::Event& event, EventOutcome outcome) {
  last_event = event.number;
  last_time_ms = event.time_ms;
  if (event.kind == EventKind::Text || event.kind == EventKind::Binary) [[likely]] {
    return;
  }
  const auto client = static_cast<std::uint32_t>(event.client);
  const auto place = std::ranges::lower_bound(present, client);
  const bool is_present = place != present.end() && *place == client;
  switch (event.kind) {
    case EventKind::Connect:
      last_client = std::max(last_client, client);
      if (outcome.outcome == Outcome::Done && !outcome.refused && !is_present) {
        present.insert(place, client);
      }
      break;
    case EventKind::Disconnect:
      if (is_present) {
        present.erase(place);
      }
      break;
    case EventKind::Timer:
      timer_ms = 0;
      break;
    case EventKind::Text:
    case EventKind::Binary:
      break;
  }
}

void RoomSide::note_timer(const service::Effects& effects, std::int64_t time_ms) {
  for (const service::Effect& effect : effects.list()) {
    if (effect.kind == service::EffectKind::SetTimer) {
      timer_ms = effect.delay_ms == 0 && !effect.timer_at_once ? 0 : time_ms + effect.delay_ms;
    }
  }
}

std::string encode(const CheckpointParts& parts) {
  Writer writer;
  writer.put(kFormat);
  writer.put(parts.side.last_event);
  writer.put(parts.side.last_time_ms);
  writer.put(parts.side.timer_ms);
  writer.put(parts.side.last_client);
  writer.put(parts.side.present);
  writer.put(parts.version);
  writer.put_rest(parts.state);
  return writer.take();
}

Result<CheckpointParts> decode_checkpoint(std::string_view bytes) {
  Reader reader = JAM_TRY(reader_of(bytes, "its checkpoint"));
  CheckpointParts parts;
  reader.get(parts.side.last_event);
  reader.get(parts.side.last_time_ms);
  reader.get(parts.side.timer_ms);
  reader.get(parts.side.last_client);
  reader.get(parts.side.present);
  reader.get(parts.version);
  parts.state = reader.rest();
  if (!reader.ok()) {
    return fail(ErrorCode::Malformed, "its checkpoint is not readable");
  }
  return parts;
}

}  // namespace jamsocket::room
