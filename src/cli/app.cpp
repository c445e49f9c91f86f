#include "cli/app.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/system.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "config/suggest.hpp"

namespace jamsocket::cli {
namespace {

std::string shown(std::string_view word) { return fmt::format("'{}'", escape_for_log(word, 80)); }

std::vector<std::string> command_names(const CLI::App& whole) {
  std::vector<std::string> names;
  for (const CLI::App* command : whole.get_subcommands(nullptr)) {
    if (!command->get_group().empty()) {
      names.push_back(command->get_name());
    }
  }
  return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  const std::string near = config::nearest(word, views);
  return near.empty() ? "" : fmt::format("; did you mean '{}'?", near);
}

int unknown_command(const CLI::App& parent, std::string_view path, std::string_view word) {
  const auto names = command_names(parent);
  std::string hint = did_you_mean(word, names);
  if (hint.empty()) {
    hint = fmt::format("; there are: {}", CLI::detail::join(names, ", "));
  }
  return complain(fmt::format("{} is no command of '{}'{}", shown(word), path, hint), kExitUsage);
}

// The deepest command that was named.
const CLI::App& command_in_use(const CLI::App& whole, std::string& path) {
  const CLI::App* app = &whole;
  path = whole.get_name();
  for (auto chosen = app->get_subcommands(); !chosen.empty(); chosen = app->get_subcommands()) {
    app = chosen.front();
    path += " " + app->get_name();
  }
  return *app;
}

int unexpected_words(const CLI::App& whole) {
  std::string path;
  const CLI::App& app = command_in_use(whole, path);
  const std::vector<std::string> words = whole.remaining(true);
  const std::string word = words.empty() ? "" : words.front();
  if (!word.starts_with('-')) {
    return app.get_subcommands(nullptr).empty()
               ? complain(fmt::format("{} is one word too many; see '{} --help'", shown(word), path), kExitUsage)
               : unknown_command(app, path, word);
  }
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      flags.push_back("--" + name);
    }
  }
  std::string hint = did_you_mean(word.substr(0, word.find('=')), flags);
  if (hint.empty()) {
    hint = fmt::format("; see '{} --help'", path);
  }
  return complain(fmt::format("{} is no option of '{}'{}", shown(word), path, hint), kExitUsage);
}

int parse_failed(const CLI::App& whole, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return whole.exit(error);  // Help or version was asked for.
  }
  std::string path;
  const CLI::App& app = command_in_use(whole, path);
  if (!whole.remaining(true).empty()) {
    return unexpected_words(whole);
  }
  if (!app.get_subcommands(nullptr).empty()) {
    const std::size_t above = path.rfind(' ');  // What it is a command of, if of any.
    note(app.help(above == std::string::npos ? "" : path.substr(0, above)));
    return complain(fmt::format("'{}' needs a command: {}", path, CLI::detail::join(command_names(app), ", ")),
                    kExitUsage);
  }
  // The parser's own words count arguments; the flag they begin with is what helps.
  const std::string_view words = error.what();
  const bool lacks_value =
      error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ArgumentMismatch) && words.starts_with('-');
  const std::string what =
      lacks_value ? fmt::format("{} needs a value", words.substr(0, words.find(':'))) : escape_for_log(words, 200);
  return complain(fmt::format("{}; see '{} --help'", what, path), kExitUsage);
}

}  // namespace

int run(int argument_count, const char* const* arguments) {
  outlive_file_size_limit();
  CLI::App whole("Rooms of WebSocket clients, around services in C++ or in WebAssembly modules.", "jamsocket");
  whole.set_version_flag("--version", "jamsocket " JAMSOCKET_VERSION);
  whole.require_subcommand(1);
  whole.failure_message(CLI::FailureMessage::simple);
  const std::vector<Command> commands{add_dev(whole),    add_build(whole),  add_serve(whole),
                                      add_check(whole),  add_config(whole), add_rooms(whole),
                                      add_replay(whole), add_data(whole),   add_token(whole)};
  try {
    whole.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    return with_all_said(parse_failed(whole, error));
  }
  const auto chosen = std::ranges::find_if(commands, [](const Command& command) { return command.app->parsed(); });
  return with_all_said(chosen->run());
}

}  // namespace jamsocket::cli
