// jamsocket rooms: the rooms that are kept in a folder, while no server uses it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/data_folder.hpp"
#include "cli/output.hpp"
#include "room/rebuild.hpp"
#include "store/room_file.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPage = 1000;

struct State {
  std::string data;
  std::string service;
  std::string room;
  std::string other;        ///< A file, or another room's id.
  std::uint64_t event = 0;  ///< Where `has_event`: how the room was after it.
  bool has_event = false;
  bool json = false;
  CLI::App* list = nullptr;
  CLI::App* show = nullptr;
  CLI::App* take_out = nullptr;
  CLI::App* put_in = nullptr;
  CLI::App* remove = nullptr;
  CLI::App* fork = nullptr;
  CLI::App* rewind = nullptr;
};

std::string shown(std::string_view text) { return escape_for_log(text, 300); }

int complain_of(const Error& error) { return complain(error.message); }

void print_json(const Json& json) { say(json.dump(2, ' ', false, Json::error_handler_t::replace)); }

Json as_json(const store::RoomSummary& room) {
  return {{"service", room.name.service},
          {"room", room.name.id},
          {"events", room.last_number},
          {"checkpoint_event", room.checkpoint_number},
          {"checkpoint_bytes", room.checkpoint_bytes},
          {"timer_unix_ms", room.timer_ms != 0 ? Json(room.timer_ms) : Json()}};
}

int list(const State& state, store::Database& data) {
  Json rooms = Json::array();
  std::optional<store::RoomName> after;
  for (;;) {
    const auto page = data.list(after, kPage);
    if (!page) {
      return complain_of(page.error());
    }
    for (const store::RoomSummary& room : *page) {
      if (!state.service.empty() && room.name.service != state.service) {
        continue;
      }
      if (state.json) {
        rooms.push_back(as_json(room));
      } else {
        say(fmt::format("{}  {}  {} events{}", shown(room.name.service), shown(room.name.id), room.last_number,
                        room.timer_ms != 0 ? fmt::format(", timer at {}", room.timer_ms) : ""));
      }
    }
    if (page->size() < kPage) {
      break;
    }
    after = page->back().name;
  }
  if (state.json) {
    print_json({{"rooms", std::move(rooms)}});
  }
  return kExitDone;
}

// The room of that id; of the one service that has it, where none is named. As it was after event `to`, if given.
Result<store::StoredRoom> find_room(const State& state, store::Database& data,
                                    std::optional<std::uint64_t> to = std::nullopt) {
  std::vector<store::RoomName> names;
  std::optional<store::RoomName> after;
  if (!state.service.empty()) {
    names.push_back({.service = state.service, .id = state.room});
  } else {
    for (;;) {
      const auto page = JAM_TRY(data.list(after, kPage));
      for (const store::RoomSummary& room : page) {
        if (room.name.id == state.room) {
          names.push_back(room.name);
        }
      }
      if (page.size() < kPage) {
        break;
      }
      after = page.back().name;
    }
  }
  if (names.size() > 1) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("several services have a room '{}'; say which with --service", shown(state.room)));
  }
  auto room = names.empty() ? Result<std::optional<store::StoredRoom>>(std::nullopt)
              : to          ? data.read_back(names.front(), *to)
                            : data.read(names.front());
  if (!room) {
    return fail(room.error().code, fmt::format("room '{}': {}", shown(state.room), room.error().message));
  }
  if (!room->has_value()) {
    return fail(ErrorCode::NotFound, fmt::format("there is no room '{}'", shown(state.room)));
  }
  return std::move(**room);
}

int show(const State& state, store::Database& data, const store::StoredRoom& room) {
  const auto rebuild = room::Rebuild::from(room);
  if (!rebuild) {
    return complain_of(rebuild.error());
  }
  const auto reach = data.reach(room.name);
  if (!reach) {
    return complain_of(reach.error());
  }
  const room::RoomSide& side = (*rebuild)->side;
  std::size_t undone = 0;
  for (const store::Record& record : room.tail) {
    const auto event = room::decode_event(record.number, record.bytes);
    undone += event && event->outcome.outcome != service::Outcome::Done ? 1U : 0U;
  }
  const Json json{{"service", room.name.service},
                  {"room", room.name.id},
                  {"events", side.last_event},
                  {"checkpoint_event", room.checkpoint ? room.checkpoint->number : 0},
                  {"state_bytes", room.checkpoint ? room.checkpoint->bytes.size() : 0},
                  {"events_since_checkpoint", room.tail.size()},
                  {"earliest_event_kept", reach->has_value() ? (*reach)->earliest : side.last_event},
                  {"undone_since_checkpoint", undone},
                  {"born_unix_ms", (*rebuild)->birth.time_ms},
                  {"last_event_unix_ms", side.last_time_ms},
                  {"timer_unix_ms", side.timer_ms != 0 ? Json(side.timer_ms) : Json()},
                  {"last_client", side.last_client},
                  {"clients", side.present},
                  {"version", (*rebuild)->version}};
  if (state.json) {
    print_json(json);
    return kExitDone;
  }
  for (const auto& [key, value] : json.items()) {
    say(fmt::format("{:<25}{}", key + ":", value.is_string() ? shown(value.get<std::string>()) : value.dump()));
  }
  return kExitDone;
}

/// Stores `room` under a key of its own, in place of `instead` where there is one.
Result<void> put(store::Database& data, const store::StoredRoom& room, std::optional<store::RoomKey> instead) {
  const store::RoomKey key{data.next_key()};
  store::Batch batch;
  if (instead) {
    batch.removed.push_back(*instead);
  }
  batch.created.push_back({.key = key, .name = room.name, .birth = room.birth});
  for (const store::Record& record : room.tail) {
    batch.append(key, record.number, record.timer_ms, record.bytes);
  }
  std::vector<store::PackedCheckpoint> checkpoints;
  if (room.checkpoint) {
    checkpoints.push_back(store::pack({.key = key, .checkpoint = *room.checkpoint}));
  }
  return data.commit({&batch, 1}, checkpoints);
}

Result<void> put_new(store::Database& data, const store::StoredRoom& room) {
  if (JAM_TRY(data.read(room.name)).has_value()) {
    return fail(ErrorCode::AlreadyExists, fmt::format("there is a room '{}' already", shown(room.name.id)));
  }
  return put(data, room, std::nullopt);
}

Result<std::string> take_out(const State& state, const store::StoredRoom& room) {
  JAM_TRY_VOID(write_new_file(state.other, store::to_room_file(room)));
  return fmt::format("wrote {}", shown(state.other));
}

Result<std::string> put_in(const State& state, store::Database& data) {
  const std::string bytes = JAM_TRY(read_whole_file(state.other));
  store::StoredRoom room = JAM_TRY(store::from_room_file(bytes));
  if (!state.room.empty()) {
    room.name.id = state.room;
  }
  if (!state.service.empty()) {
    room.name.service = state.service;
  }
  JAM_TRY_VOID(room::Rebuild::from(room));
  JAM_TRY_VOID(put_new(data, room));
  return fmt::format("room '{}' of {} is kept", shown(room.name.id), shown(room.name.service));
}

Result<std::string> rewind(const State& state, store::Database& data, const store::StoredRoom& room) {
  JAM_TRY_VOID(put(data, room, room.key));
  return fmt::format("room '{}' is as it was after event {}", shown(state.room), state.event);
}

Result<std::string> change(const State& state, store::Database& data) {
  if (state.put_in->parsed()) {
    return put_in(state, data);
  }
  store::StoredRoom room = JAM_TRY(find_room(state, data, state.has_event ? std::optional(state.event) : std::nullopt));
  if (state.take_out->parsed()) {
    return take_out(state, room);
  }
  if (state.rewind->parsed()) {
    return rewind(state, data, room);
  }
  if (state.fork->parsed()) {
    room.name.id = state.other;
    JAM_TRY_VOID(put_new(data, room));
    return fmt::format("room '{}' is a copy of '{}'", shown(state.other), shown(state.room));
  }
  store::Batch batch;
  batch.removed.push_back(room.key);
  JAM_TRY_VOID(data.commit({&batch, 1}));
  return fmt::format("room '{}' is no more", shown(state.room));
}

int run(const State& state) {
  auto data = open_data(state.data);
  if (!data) {
    return complain_of(data.error());
  }
  if (state.list->parsed()) {
    return list(state, **data);
  }
  if (state.show->parsed()) {
    const auto room = find_room(state, **data);
    return room ? show(state, **data, *room) : complain_of(room.error());
  }
  const auto done = change(state, **data);
  if (!done) {
    return complain_of(done.error());
  }
  if (state.json) {
    print_json({{"done", *done}});
  } else {
    say(*done);
  }
  return kExitDone;
}

}  // namespace

Command add_rooms(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("rooms", "Lists and changes the rooms that are kept in a folder");
  app->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = app->add_subcommand(name, help);
    add_data_option(*command, state->data);
    command->add_option("--service", state->service, "The room's service, where several have a room of that id")
        ->type_name("NAME");
    command->add_flag("--json", state->json, "Prints JSON");
    return command;
  };
  const auto add_room = [&](CLI::App* command) {
    command->add_option("ROOM", state->room, "The room's id")->type_name("")->required();
    return command;
  };
  const auto add_event = [&](CLI::App* command) {
    return command->add_option("--to", state->event, "How it was after this event; 0 for its start")
        ->type_name("EVENT")
        ->each([state](const std::string&) { state->has_event = true; });
  };
  state->list = add("list", "Every room: its service, its id, how many events it had");
  state->show = add_room(add("show", "What is kept of one room"));
  state->take_out = add_room(add("export", "Writes a room to a file, for another server or for `replay`"));
  state->take_out->add_option("FILE", state->other, "The file, which must not exist")->type_name("")->required();
  add_event(state->take_out);
  state->put_in = add("import", "Keeps the room of a file");
  state->put_in->add_option("FILE", state->other, "A file that `export` wrote")->type_name("")->required();
  state->put_in->add_option("--as", state->room, "Another id for it")->type_name("ROOM");
  state->remove = add_room(add("delete", "Forgets a room"));
  state->fork = add_room(add("fork", "Keeps a copy of a room under another id"));
  state->fork->add_option("NEW", state->other, "The copy's id")->type_name("")->required();
  add_event(state->fork);
  state->rewind = add_room(add("rewind", "Takes a room back to how it was after an event"));
  add_event(state->rewind)->required();
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
