// jamsocket check: what a module is, and whether it can be served.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>

#include "base/log.hpp"
#include "base/result.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "wasm/engine.hpp"
#include "wasm/inspect.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kFileBytesMax = (std::size_t{32} << 20U) + 1;  // One more than can be served, to be told so.

struct State {
  std::string module;
  bool json = false;
};

Result<std::string> read_module(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kFileBytesMax, '\0');
  if (!file.is_open() || (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) && !file.eof())) {
    const std::error_code why(errno, std::generic_category());
    return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(path, 300), why.message()));
  }
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

std::string abi_text(const wasm::ModuleFacts& facts) {
  if (!facts.abi) {
    return "none that this server speaks";
  }
  const std::string name(wasm::to_string(*facts.abi));
  return facts.version ? fmt::format("{} {}/{}", name, facts.version->version, facts.version->protocol) : name;
}

std::string memory_text(const wasm::ModuleFacts& facts) {
  return facts.memory_pages_max
             ? fmt::format("{} to {} pages of 64 KiB", facts.memory_pages_min, *facts.memory_pages_max)
             : fmt::format("{} pages of 64 KiB or more", facts.memory_pages_min);
}

// A module's names are the words of a stranger.
std::string shown(std::string_view name) { return escape_for_log(name, 120); }

void print_text(const wasm::ModuleFacts& facts) {
  say(fmt::format("size:     {} bytes", facts.size_bytes));
  say(fmt::format("ABI:      {}", abi_text(facts)));
  say(fmt::format("memory:   {}", memory_text(facts)));
  say(fmt::format("names:    {}", facts.has_names ? "yes: backtraces show functions by name" : "no"));
  say(fmt::format("upgrade:  {}", facts.can_save && facts.can_load
                                      ? "saves and loads rooms: upgrade = \"migrate\" works"
                                  : facts.can_save ? "saves rooms for another build, loads none"
                                  : facts.can_load ? "loads rooms of another build, saves none"
                                                   : "neither saves nor loads rooms"));
  say(fmt::format("kept:     {}", facts.obstacles_to_capture.empty()
                                      ? "its rooms can be kept"
                                      : "its rooms cannot be kept; durability = \"none\" serves it without"));
  for (const std::string& obstacle : facts.obstacles_to_capture) {
    say(fmt::format("          {}", shown(obstacle)));
  }
  for (const wasm::ExportFact& fact : facts.exports) {
    say(fmt::format("export:   {} {}{}", shown(fact.name), shown(fact.type), fact.used ? "" : "  (not used)"));
  }
  for (const wasm::ImportFact& fact : facts.imports) {
    say(fmt::format("import:   {}.{} {}{}", shown(fact.module), shown(fact.name), shown(fact.type),
                    fact.known ? "" : "  (unknown)"));
  }
  for (const std::string& advice : facts.advice) {
    say(fmt::format("advice:   {}", shown(advice)));
  }
  for (const std::string& problem : facts.problems) {
    say(fmt::format("problem:  {}", escape_for_log(problem, 1000)));
  }
  say(facts.problems.empty() ? "it can be served" : "it cannot be served");
}

void print_json(const wasm::ModuleFacts& facts) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["ok"] = facts.problems.empty();
  json["size_bytes"] = facts.size_bytes;
  json["abi"] = facts.abi ? Json(std::string(wasm::to_string(*facts.abi))) : Json();
  json["version"] = facts.version ? Json(facts.version->version) : Json();
  json["protocol"] = facts.version ? Json(facts.version->protocol) : Json();
  json["memory_pages_min"] = facts.memory_pages_min;
  json["memory_pages_max"] = facts.memory_pages_max ? Json(*facts.memory_pages_max) : Json();
  json["has_names"] = facts.has_names;
  json["can_save"] = facts.can_save;
  json["can_load"] = facts.can_load;
  json["can_be_kept"] = facts.obstacles_to_capture.empty();
  json["obstacles_to_keeping"] = facts.obstacles_to_capture;
  json["exports"] = Json::array();
  for (const wasm::ExportFact& fact : facts.exports) {
    json["exports"].push_back({{"name", fact.name}, {"type", fact.type}, {"used", fact.used}});
  }
  json["imports"] = Json::array();
  for (const wasm::ImportFact& fact : facts.imports) {
    json["imports"].push_back(
        {{"module", fact.module}, {"name", fact.name}, {"type", fact.type}, {"known", fact.known}});
  }
  json["advice"] = facts.advice;
  json["problems"] = facts.problems;
  say(json.dump(2, ' ', false, Json::error_handler_t::replace));
}

int run(const State& state) {
  const Result<std::string> bytes = read_module(state.module);
  if (!bytes) {
    return complain(bytes.error().message);
  }
  const wasm::Engine engine;
  const wasm::ModuleFacts facts = wasm::inspect_running(engine, *bytes);
  state.json ? print_json(facts) : print_text(facts);
  return facts.problems.empty() ? kExitDone : kExitFailed;
}

}  // namespace

Command add_check(CLI::App& whole) {
  auto state = std::make_shared<State>();
  CLI::App* app = whole.add_subcommand(
      "check", "Says which ABI a module speaks, what it exports and imports, and what is wrong with it");
  app->add_option("MODULE.wasm", state->module, "The module")->type_name("")->required();
  app->add_flag("--json", state->json, "Prints JSON");
  return {.app = app, .run = [state] { return run(*state); }};
}

}  // namespace jamsocket::cli
