#include "server/kept_rooms.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.hpp"
#include "http/target.hpp"
#include "room/rebuild.hpp"
#include "service/native.hpp"
#include "store/room_file.hpp"

namespace jamsocket::server {
namespace {

std::string shown(std::string_view text) { return escape_for_log(text, 300); }

KeptJson unless_zero(std::int64_t unix_ms) { return unix_ms != 0 ? KeptJson(unix_ms) : KeptJson(); }

KeptJson as_json(const store::RoomSummary& room) {
  return {{"service", room.name.service},
          {"room", room.name.id},
          {"events", room.last_number},
          {"checkpoint_event", room.checkpoint_number},
          {"checkpoint_bytes", room.checkpoint_bytes},
          {"timer_unix_ms", unless_zero(room.timer_ms)}};
}

Error about(const std::string& id, const Error& error) {
  return {error.code, fmt::format("room '{}': {}", shown(id), error.message)};
}

// Stores `room` under a key of its own.
void put(KeptChange& change, const store::StoredRoom& room, store::RoomKey key) {
  change.batch.created.push_back({.key = key, .name = room.name, .birth = room.birth});
  std::int64_t timer_ms = room.checkpoint ? room.checkpoint->timer_ms : 0;
  for (const store::Record& record : room.tail) {
    change.batch.append(key, record.number, record.timer_ms, record.bytes);
    timer_ms = record.timer_ms;
  }
  if (room.checkpoint) {
    change.checkpoints.push_back(store::pack({.key = key, .checkpoint = *room.checkpoint}));
  }
  change.leaves_timer = timer_ms != 0;
}

Result<void> check_free(store::Database& data, const store::RoomName& name) {
  if (JAM_TRY(data.key_of(name)).has_value()) {
    return fail(ErrorCode::AlreadyExists, fmt::format("there is a room '{}' already", shown(name.id)));
  }
  return {};
}

}  // namespace

Result<KeptJson> list_kept(store::Database& data, const std::string& service,
                           const std::optional<store::RoomName>& after, std::size_t count_max) {
  // A service's rooms lie behind the service without an id, and no room has an empty one.
  const bool from_its_first = !service.empty() && (!after || after->service < service);
  const std::optional<store::RoomName> from = from_its_first ? store::RoomName{.service = service, .id = {}} : after;
  const auto page = JAM_TRY(data.list(from, count_max));
  KeptJson rooms = KeptJson::array();
  for (const store::RoomSummary& room : page) {
    if (service.empty() || room.name.service == service) {
      rooms.push_back(as_json(room));
    }
  }
  const bool is_all = page.size() < count_max || rooms.size() < page.size();
  KeptJson next = is_all ? KeptJson() : KeptJson{{"service", page.back().name.service}, {"room", page.back().name.id}};
  return KeptJson{{"rooms", std::move(rooms)}, {"next", std::move(next)}};
}

Result<store::RoomName> find_kept(store::Database& data, const std::string& service, const std::string& id) {
  std::vector<std::string> services;
  if (service.empty()) {
    services = JAM_TRY(data.services());
  } else {
    services.push_back(service);
  }
  std::vector<store::RoomName> names;
  for (std::string& each : services) {
    store::RoomName name{.service = std::move(each), .id = id};
    if (JAM_TRY(data.key_of(name)).has_value()) {
      names.push_back(std::move(name));
    }
  }
  if (names.size() > 1) {
    std::vector<std::string> owners;
    std::ranges::transform(names, std::back_inserter(owners), [](const auto& name) { return shown(name.service); });
    return fail(ErrorCode::InvalidArgument,
                fmt::format("several services have a room '{}': {}; say which one is meant, as the service", shown(id),
                            fmt::join(owners, ", ")));
  }
  if (names.empty()) {
    return fail(ErrorCode::NotFound, fmt::format("there is no room '{}'", shown(id)));
  }
  return std::move(names.front());
}

Result<KeptJson> describe_kept(store::Database& data, const store::RoomName& name) {
  const store::StoredRoom room = JAM_TRY(read_kept(data, name, std::nullopt));
  const std::uint64_t checkpoint_event = room.checkpoint ? room.checkpoint->number : 0;
  const std::size_t state_bytes = room.checkpoint ? room.checkpoint->bytes.size() : 0;
  const auto rebuild = room::Rebuild::from(room);
  if (!rebuild) {
    return std::unexpected(about(name.id, rebuild.error()));
  }
  const auto reach = JAM_TRY(data.reach(name));
  const room::RoomSide& side = (*rebuild)->side;
  std::size_t undone = 0;
  for (const store::Record& record : room.tail) {
    const auto event = room::decode_event(record.number, record.bytes);
    undone += event && event->outcome.outcome != service::Outcome::Done ? 1U : 0U;
  }
  return KeptJson{{"service", name.service},
                  {"room", name.id},
                  {"events", side.last_event},
                  {"checkpoint_event", checkpoint_event},
                  {"state_bytes", state_bytes},
                  {"events_since_checkpoint", room.tail.size()},
                  {"earliest_event_kept", reach ? reach->earliest : side.last_event},
                  {"undone_since_checkpoint", undone},
                  {"born_unix_ms", (*rebuild)->birth.time_ms},
                  {"last_event_unix_ms", side.last_time_ms},
                  {"timer_unix_ms", unless_zero(side.timer_ms)},
                  {"last_client", side.last_client},
                  {"clients", side.present},
                  {"version", (*rebuild)->version}};
}

Result<store::StoredRoom> read_kept(store::Database& data, const store::RoomName& name, std::optional<std::uint64_t> to,
                                    store::Extent extent, std::uint64_t history_bytes_max) {
  auto room = to ? data.read_back(name, *to) : data.read(name, extent, history_bytes_max);
  if (!room) {
    return std::unexpected(about(name.id, room.error()));
  }
  if (!room->has_value()) {
    return fail(ErrorCode::NotFound, fmt::format("there is no room '{}'", shown(name.id)));
  }
  return std::move(**room);
}

Result<store::StoredRoom> open_room_file(std::string_view bytes, const std::string& service, const std::string& id,
                                         std::uint64_t unpacked_bytes_max) {
  store::StoredRoom room = JAM_TRY(store::from_room_file(bytes, unpacked_bytes_max));
  if (!id.empty()) {
    room.name.id = id;
  }
  if (!service.empty()) {
    room.name.service = service;
  }
  JAM_TRY_VOID(http::check_room_id(room.name.id, kRoomIdBytesMost));
  JAM_TRY_VOID(room::Rebuild::from(room));
  return room;
}

Result<KeptChange> plan_delete(store::Database& data, const store::RoomName& name) {
  const auto key = JAM_TRY(data.key_of(name));
  if (!key) {
    return fail(ErrorCode::NotFound, fmt::format("there is no room '{}'", shown(name.id)));
  }
  KeptChange change;
  change.batch.removed.push_back(*key);
  change.done = fmt::format("room '{}' is no more", shown(name.id));
  return change;
}

Result<KeptChange> plan_accept(store::Database& data, const store::RoomName& name, store::RoomKey key) {
  const auto as_it_is = data.read(name);
  if (as_it_is || as_it_is.error().code != ErrorCode::Malformed) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("room '{}' is not damaged; one that does not come back although all of it is there "
                            "can be taken back to before the event that the log names: 'jamsocket rooms rewind'",
                            shown(name.id)));
  }
  const store::StoredRoom room = JAM_TRY(read_kept(data, name, std::nullopt, store::Extent::Checkpoint));
  KeptChange change;
  change.batch.removed.push_back(room.key);
  put(change, room, key);
  change.done = fmt::format("room '{}' is as it was after event {}; what came later is lost", shown(name.id),
                            room.checkpoint ? room.checkpoint->number : 0);
  return change;
}

Result<KeptChange> plan_rewind(store::Database& data, const store::RoomName& name, std::uint64_t to,
                               store::RoomKey key) {
  const store::StoredRoom room = JAM_TRY(read_kept(data, name, to));
  KeptChange change;
  change.batch.removed.push_back(room.key);
  put(change, room, key);
  change.done = fmt::format("room '{}' is as it was after event {}", shown(name.id), to);
  return change;
}

Result<KeptChange> plan_fork(store::Database& data, const store::RoomName& name, std::optional<std::uint64_t> to,
                             const std::string& new_id, store::RoomKey key) {
  JAM_TRY_VOID(http::check_room_id(new_id, kRoomIdBytesMost));
  store::StoredRoom room = JAM_TRY(read_kept(data, name, to));
  room.name.id = new_id;
  JAM_TRY_VOID(check_free(data, room.name));
  KeptChange change;
  put(change, room, key);
  change.done = fmt::format("room '{}' is a copy of '{}'", shown(new_id), shown(name.id));
  return change;
}

Result<KeptChange> plan_import(store::Database& data, const store::StoredRoom& room, store::RoomKey key, CodeIs code) {
  JAM_TRY_VOID(check_free(data, room.name));
  KeptChange change;
  put(change, room, key);
  change.done = fmt::format("room '{}' of {} is kept", shown(room.name.id), shown(room.name.service));
  const std::string version = JAM_TRY(room::Rebuild::from(room))->version;
  if (version != service::kNativeVersion && code != CodeIs::Served && !JAM_TRY(data.module(version)).has_value()) {
    change.done +=
        fmt::format("; the code that made it (version {}) is not: the room comes back when that very build is served",
                    shown(version));
  }
  return change;
}

}  // namespace jamsocket::server
