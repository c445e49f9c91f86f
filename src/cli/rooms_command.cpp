// jamsocket rooms: the rooms that are kept in a folder, used by a server or not.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/data_folder.hpp"
#include "cli/kept_rooms.hpp"
#include "cli/output.hpp"
#include "store/room_file.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::ordered_json;

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
  CLI::App* accept = nullptr;
  CLI::App* fork = nullptr;
  CLI::App* rewind = nullptr;

  [[nodiscard]] RoomWanted wanted() const {
    return {.service = service, .id = room, .to = has_event ? std::optional(event) : std::nullopt};
  }
};

std::string shown(std::string_view text) { return escape_for_log(text, 300); }

int complain_of(const Error& error) { return complain(error.message); }

void print_json(const Json& json) { say(json.dump(2, ' ', false, Json::error_handler_t::replace)); }

std::string timer_of(const Json& room) {
  return room["timer_unix_ms"].is_number() ? fmt::format(", timer at {}", room["timer_unix_ms"].dump()) : "";
}

int list(const State& state, KeptRooms& kept) {
  Json rooms = Json::array();
  std::optional<store::RoomName> after;
  do {
    auto page = kept.list(state.service, after);
    if (!page) {
      return complain_of(page.error());
    }
    for (Json& room : (*page)["rooms"]) {
      if (state.json) {
        rooms.push_back(std::move(room));
      } else {
        say(fmt::format("{}  {}  {} events{}", shown(room["service"].get<std::string>()),
                        shown(room["room"].get<std::string>()), room["events"].dump(), timer_of(room)));
      }
    }
    const Json& next = (*page)["next"];
    after.reset();
    if (next.is_object()) {
      after = store::RoomName{.service = next["service"].get<std::string>(), .id = next["room"].get<std::string>()};
    }
  } while (after);
  if (state.json) {
    print_json({{"rooms", std::move(rooms)}});
  }
  return kExitDone;
}

int show(const State& state, KeptRooms& kept) {
  const auto json = kept.describe(state.wanted());
  if (!json) {
    return complain_of(json.error());
  }
  if (state.json) {
    print_json(*json);
    return kExitDone;
  }
  for (const auto& [key, value] : json->items()) {
    say(fmt::format("{:<25}{}", key + ":", value.is_string() ? shown(value.get<std::string>()) : value.dump()));
  }
  return kExitDone;
}

Result<std::string> take_out(const State& state, KeptRooms& kept) {
  const store::StoredRoom room = JAM_TRY(kept.read(state.wanted(), store::Extent::Needed));
  JAM_TRY_VOID(write_new_file(state.other, store::to_room_file(room)));
  return fmt::format("wrote {}", shown(state.other));
}

// The file first: where it is none, no folder is made. Else that of a server that never ran is.
Result<std::string> put_in(const State& state) {
  const std::string bytes = JAM_TRY(read_whole_file(state.other));
  const auto room = server::open_room_file(bytes, state.service, state.room, store::kUnpackedBytesMax);
  if (!room) {
    return fail(room.error().code, fmt::format("{}: {}", shown(state.other), room.error().message));
  }
  return JAM_TRY(open_kept_rooms(state.data, IfMissing::Make))->bring_in(*room);
}

int tell(const State& state, const Result<std::string>& done) {
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

Result<std::string> change(const State& state, KeptRooms& kept) {
  return state.take_out->parsed() ? take_out(state, kept)
         : state.rewind->parsed() ? kept.rewind(state.wanted())
         : state.accept->parsed() ? kept.accept(state.wanted())
         : state.fork->parsed()   ? kept.fork(state.wanted(), state.other)
                                  : kept.forget(state.wanted());
}

int run(const State& state) {
  if (state.put_in->parsed()) {
    return tell(state, put_in(state));
  }
  const auto kept = open_kept_rooms(state.data);
  if (!kept) {
    return complain_of(kept.error());
  }
  if (state.list->parsed()) {
    return list(state, **kept);
  }
  if (state.show->parsed()) {
    return show(state, **kept);
  }
  return tell(state, change(state, **kept));
}

}  // namespace

Command add_rooms(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("rooms", "Lists and changes the rooms that are kept in a folder");
  app->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = app->add_subcommand(name, help);
    add_data_option(*command, state->data, DataUse::AlsoOfServers);
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
    return add_event_option(*command, state->event, "How it was after this event; 0 for its start")
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
  state->accept = add_room(add("accept", "Goes on with a damaged room as of its last checkpoint"));
  state->fork = add_room(add("fork", "Keeps a copy of a room under another id"));
  state->fork->add_option("NEW", state->other, "The copy's id")->type_name("")->required();
  add_event(state->fork);
  state->rewind = add_room(add("rewind", "Takes a room back to how it was after an event"));
  add_event(state->rewind)->required();
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
