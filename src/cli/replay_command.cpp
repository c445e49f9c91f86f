// jamsocket replay: runs a kept room's events again, and says what each did.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/data_folder.hpp"
#include "cli/kept_rooms.hpp"
#include "cli/module_services.hpp"
#include "cli/output.hpp"
#include "cli/setting_flags.hpp"
#include "config/settings.hpp"
#include "room/rebuild.hpp"
#include "server/settings.hpp"
#include "service/native.hpp"
#include "store/room_file.hpp"
#include "wasm/engine.hpp"
#include "wasm/module_service.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::ordered_json;
using service::Outcome;

struct State {
  std::string module;
  std::string room;
  std::string data;
  std::string service;
  std::uint64_t to = 0;
  bool has_to = false;
  bool print_effects = false;
  bool json = false;
  SettingFlags flags;

  [[nodiscard]] std::string service_name() const {
    return service.empty() ? std::filesystem::path(module).stem().string() : service;
  }
};

std::string shown(std::string_view text) { return escape_for_log(text, 200); }

std::string_view effect_name(service::EffectKind kind) {
  switch (kind) {
    case service::EffectKind::SendText:
      return "send_message";
    case service::EffectKind::SendBinary:
      return "send_binary";
    case service::EffectKind::SetTimer:
      return "set_timer";
    case service::EffectKind::Close:
      return "close";
    case service::EffectKind::Refuse:
      return "refuse";
    case service::EffectKind::Log:
      return "log";
    case service::EffectKind::AcceptSubprotocol:
      return "accept_subprotocol";
  }
  return "";
}

Json effect_as_json(const service::Effect& effect, std::string_view bytes) {
  Json json{{"effect", effect_name(effect.kind)}};
  switch (effect.kind) {
    case service::EffectKind::SendText:
      json["to"] = effect.recipient.code();
      json["text"] = bytes;
      break;
    case service::EffectKind::SendBinary:
      json["to"] = effect.recipient.code();
      json["bytes"] = bytes.size();
      break;
    case service::EffectKind::SetTimer:
      json["delay_ms"] = effect.delay_ms;
      break;
    case service::EffectKind::Close:
      json["client"] = effect.recipient.code();
      json["code"] = effect.close_code;
      break;
    case service::EffectKind::Refuse:
    case service::EffectKind::Log:
    case service::EffectKind::AcceptSubprotocol:
      json["text"] = bytes;
      break;
  }
  return json;
}

// Says what happened, an event at a time.
class Teller {
 public:
  explicit Teller(const State& state) : state_(state) {}

  void tell(const room::RecordedEvent& recorded, const service::Effects& effects) {
    const service::Event& event = recorded.event;
    Json json{{"event", event.number},
              {"time_unix_ms", event.time_ms},
              {"kind", to_string(event.kind)},
              {"client", static_cast<std::uint32_t>(event.client)}};
    if (event.kind == service::EventKind::Text) {
      json["text"] = event.payload;
    } else if (event.kind == service::EventKind::Binary) {
      json["bytes"] = event.payload.size();
    }
    if (recorded.outcome.outcome != Outcome::Done) {
      json["undone"] = to_string(recorded.outcome.outcome);
    }
    if (state_.print_effects) {
      json["effects"] = Json::array();
      for (const service::Effect& effect : effects.list()) {
        json["effects"].push_back(effect_as_json(effect, effects.bytes_of(effect)));
      }
    }
    print(json);
  }

  void tell_fault(const service::Fault& fault) const {
    if (state_.json) {
      line({{"fault", to_string(fault.outcome)}, {"reason", fault.reason}, {"backtrace", fault.backtrace}});
      return;
    }
    say(fmt::format("  {}: {}", to_string(fault.outcome), shown(fault.reason)));
    for (std::size_t at = 0; at < fault.backtrace.size();) {
      const std::size_t end = fault.backtrace.find('\n', at);
      say(fmt::format("    at {}", shown(std::string_view(fault.backtrace).substr(at, end - at))));
      at = end == std::string::npos ? fault.backtrace.size() : end + 1;
    }
  }

  static void line(const Json& json) { say(json.dump(-1, ' ', false, Json::error_handler_t::replace)); }

 private:
  void print(const Json& json) const {
    if (state_.json) {
      line(json);
      return;
    }
    const auto text = json.contains("text") ? fmt::format(" \"{}\"", shown(json["text"].get<std::string>())) : "";
    const auto undone = json.contains("undone") ? fmt::format("  (undone: {})", json["undone"].get<std::string>()) : "";
    say(fmt::format("{} {} client {}{}{}", json["event"].get<std::uint64_t>(), json["kind"].get<std::string>(),
                    json["client"].get<std::uint32_t>(), text, undone));
    for (const auto& effect : json.value("effects", Json::array())) {
      say("    " + effect.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
  }

  const State& state_;
};

Result<store::StoredRoom> find(const State& state) {
  if (state.data.empty()) {
    const auto bytes = read_whole_file(state.room);
    if (!bytes) {
      return fail(bytes.error().code, bytes.error().message + "; a room of a folder is asked for with --data DIR");
    }
    auto room = store::from_room_file(*bytes);
    return room ? std::move(room)
                : fail(room.error().code, fmt::format("{}: {}", shown(state.room), room.error().message));
  }
  const auto kept = JAM_TRY(open_kept_rooms(state.data));
  const std::string service = state.service_name();
  RoomWanted wanted{.service = service, .id = state.room, .to = {}};
  auto room = kept->read(wanted, store::Extent::Whole);
  if (room && room->checkpoint && state.has_to && state.to < room->checkpoint->number) {
    wanted.to = state.to;
    room = kept->read(wanted, store::Extent::Needed);
  }
  if (!room && room.error().code == ErrorCode::NotFound) {
    return fail(ErrorCode::NotFound, fmt::format("there is no room '{}' of {}; see 'jamsocket rooms list'",
                                                 shown(state.room), shown(service)));
  }
  return room;
}

// Says what was undone before event `before`, which is all that is known of it: it is not run again.
void tell_undone(Teller& teller, const store::StoredRoom& stored, std::size_t& told, std::uint64_t before) {
  const service::Effects none;
  for (; told < stored.tail.size() && stored.tail[told].number < before; ++told) {
    const store::Record& record = stored.tail[told];
    const auto recorded = room::decode_event(record.number, record.bytes);
    if (recorded && recorded->outcome.outcome != Outcome::Done) {
      teller.tell(*recorded, none);
    }
  }
}

// Those of the room's service, where the file has a section of it.
const config::Settings& settings_of(const State& state, const config::Loaded& loaded) {
  const auto found = std::ranges::find(loaded.services, state.service_name(), &config::NamedService::name);
  return found == loaded.services.end() ? loaded.settings : found->settings;
}

Result<int> replay(const State& state, const config::Loaded& loaded) {
  // The module first: the service that has the room is named after it.
  const config::Settings& settings = settings_of(state, loaded);
  const wasm::Engine engine(engine_options(loaded));
  const auto module = JAM_TRY(engine.load_file(state.module, cache_folder(settings)));
  store::StoredRoom stored = JAM_TRY(find(state));
  if (state.has_to) {
    if (const std::uint64_t last = store::last_event(stored); state.to > last) {
      return fail(ErrorCode::InvalidArgument, fmt::format("--to is {}; the room's last event is {}", state.to, last));
    }
    std::erase_if(stored.tail, [&](const store::Record& record) { return record.number > state.to; });
  }
  const auto rebuild = JAM_TRY(room::Rebuild::from(std::move(stored)));
  const auto service = wasm::make_module_service("replay", module, module_limits(settings.module_limits));
  if (rebuild->version == service::kNativeVersion) {
    return fail(ErrorCode::InvalidArgument,
                "the room is of a native service: only the program that has its class can run its events again");
  }
  if (rebuild->version != service->version()) {
    note("jamsocket: the room was made by another build of the module: what follows may not be what happened");
    rebuild->version = service->version();
  }
  if (rebuild->stored.checkpoint) {
    note(fmt::format("jamsocket: what led to event {} is not kept, only what the room was then: it begins behind it",
                     rebuild->stored.checkpoint->number));
  }
  Teller teller(state);
  service::Effects effects(server::effect_limits(settings.server.limits));
  std::size_t told = 0;
  const auto instance =
      room::run(*rebuild, *service, effects, nullptr,
                [&teller, &rebuild, &told](const room::RecordedEvent& recorded, const service::Effects& done) {
                  tell_undone(teller, rebuild->stored, told, recorded.event.number);
                  teller.tell(recorded, done);
                });
  if (!instance) {
    teller.tell_fault(instance.error());
    return kExitFailed;
  }
  // A file of an undone event ends with it: it is run as well, to see it fail.
  if (!rebuild->stored.tail.empty()) {
    const store::Record& last = rebuild->stored.tail.back();
    tell_undone(teller, rebuild->stored, told, last.number);
    const auto recorded = JAM_TRY(room::decode_event(last.number, last.bytes));
    if (recorded.outcome.outcome != Outcome::Done) {
      const bool failed = (*instance)->handle(recorded.event, effects) != Outcome::Done;
      teller.tell(recorded, effects);
      if (failed) {
        teller.tell_fault((*instance)->fault());
        return kExitFailed;
      }
    }
  }
  return kExitDone;
}

int run(const State& state) {
  const auto loaded = state.flags.load(state.flags.config_file());
  if (!loaded) {
    return complain_of_settings(loaded.error());
  }
  const auto ended = replay(state, *loaded);
  return ended ? *ended : complain(ended.error().message);
}

}  // namespace

Command add_replay(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("replay", "Runs the events of a kept room again and says what each did");
  app->footer(
      "Exit code 1 if an event fails: so it shows whether a new build still fails at the file of a fault. Events have "
      "the limits of the settings: where the server's were others, name them as it did.");
  app->add_option("MODULE.wasm", state->module, "The room's module")->type_name("")->required();
  app->add_option("ROOM", state->room, "A file of a room; with --data, a room's id")->type_name("")->required();
  app->add_option("--data", state->data,
                  "The folder where the room is kept; a server that uses it needs an admin listener")
      ->type_name("DIR");
  app->add_option("--service", state->service, "The room's service; the module's name if not given")->type_name("NAME");
  CLI::Option* to = add_event_option(*app, state->to, "The last event to run");
  app->add_flag("--print-effects", state->print_effects, "Says what each event asked for");
  app->add_flag("--json", state->json, "Prints JSON, an event a line");
  state->flags.add_sources_to(*app);
  return {.app = app, .run = [state, to] {
            state->has_to = to->count() > 0;
            return run(*state);
          }};
}

}  // namespace jamsocket::cli
