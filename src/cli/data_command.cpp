// jamsocket data: a folder of kept rooms as a whole, while no server uses it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/log.hpp"
#include "base/system.hpp"
#include "cli/commands.hpp"
#include "cli/data_folder.hpp"
#include "cli/output.hpp"

namespace jamsocket::cli {
namespace {

using Json = nlohmann::ordered_json;

struct State {
  std::string data;
  std::string target;
  bool json = false;
  CLI::App* check = nullptr;
  CLI::App* compact = nullptr;
  CLI::App* backup = nullptr;
};

std::uint64_t size_of(const std::string& folder) {
  std::error_code error;
  const auto size = std::filesystem::file_size(std::filesystem::path(folder) / "rooms.db", error);
  return error ? 0 : size;
}

int tell(const State& state, const Json& json, const std::string& text) {
  say(state.json ? json.dump(2, ' ', false, Json::error_handler_t::replace) : text);
  return kExitDone;
}

int check(const State& state, store::Database& data) {
  const auto wrong = data.check();
  if (!wrong) {
    return complain(wrong.error().message);
  }
  if (state.json) {
    tell(state, {{"ok", wrong->empty()}, {"problems", *wrong}}, "");
  } else {
    for (const std::string& problem : *wrong) {
      say(escape_for_log(problem, 1000));
    }
    say(wrong->empty() ? "no problems" : fmt::format("{} problems", wrong->size()));
  }
  return wrong->empty() ? kExitDone : kExitFailed;
}

// Where that is not possible as something is damaged, what can be read is written anew.
int compact(const State& state, std::unique_ptr<store::Database> data) {
  const std::uint64_t before = size_of(state.data);
  auto done = data->compact();
  if (!done && done.error().code == ErrorCode::Malformed) {
    data.reset();
    auto mended = open_data(state.data, IfMissing::Refuse, {}, Mend::Now);
    done = mended ? (*mended)->compact() : std::unexpected(mended.error());
    data = mended ? std::move(*mended) : nullptr;
  }
  if (!done) {
    return complain(done.error().message);
  }
  const std::uint64_t after = size_of(state.data);
  Json json = {{"bytes_before", before}, {"bytes_after", after}};
  std::string text = fmt::format("{} bytes, before {}", after, before);
  if (const auto& mended = data->mended()) {
    json["mended"] = true;
    json["lost"] = mended->losses.text();
    text +=
        fmt::format("; it was damaged, and is mended; lost: {}; what it was: rooms.db.damaged", mended->losses.text());
  }
  return tell(state, json, text);
}

int backup(const State& state, store::Database& data) {
  std::error_code error;
  const std::filesystem::path folder = state.target;
  if (std::filesystem::create_directories(folder, error)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);  // As the rooms' own.
  }
  if (error) {
    return complain(fmt::format("{}: {}", escape_for_log(state.target, 300), words_of(error.value())));
  }
  const std::filesystem::path file = folder / "rooms.db";
  if (std::filesystem::exists(file, error)) {
    return complain(fmt::format("'{}' has rooms already; a backup goes into a folder of its own",
                                escape_for_log(state.target, 300)));
  }
  // Empty at first, so that nobody else may read it, and to hear in plain words why it cannot be written.
  if (const auto made = write_new_file(file.string(), {}); !made) {
    return complain(made.error().message);
  }
  if (const auto done = data.backup(file); !done) {
    std::filesystem::remove(file, error);  // A part of the rooms is no backup, and would be in the next one's way.
    return complain(
        fmt::format("the backup '{}' failed: {}", escape_for_log(file.string(), 300), done.error().message));
  }
  return tell(state, {{"file", file.string()}, {"bytes", size_of(state.target)}},
              fmt::format("wrote {}", escape_for_log(file.string(), 300)));
}

int run(const State& state) {
  const bool compacts = state.compact->parsed();
  auto data = open_data(state.data, IfMissing::Refuse, {}, compacts ? Mend::WhereNeeded : Mend::No);
  if (!data) {
    return complain(data.error().code == ErrorCode::LimitReached ? data.error().message + "; stop that server first"
                                                                 : data.error().message);
  }
  return compacts                ? compact(state, std::move(*data))
         : state.check->parsed() ? check(state, **data)
                                 : backup(state, **data);
}

}  // namespace

Command add_data(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand("data", "Checks, compacts and copies a folder of kept rooms");
  app->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* command = app->add_subcommand(name, help);
    add_data_option(*command, state->data);
    command->add_flag("--json", state->json, "Prints JSON");
    return command;
  };
  state->check = add("check", "Reads everything; exit code 1 if something is damaged");
  state->compact = add("compact", "Gives free space back to the file system; mends what is damaged where it can be");
  state->backup = add("backup", "Writes a consistent copy");
  state->backup->add_option("FOLDER", state->target, "Where to; made if it is missing")->type_name("")->required();
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
