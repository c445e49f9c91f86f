#include "cli/setting_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <variant>

#include "config/settings.hpp"

namespace jamsocket::cli {
namespace {

// A heading for each section of the file; a new section needs no line here.
std::string group_of(const config::Entry& entry) {
  const std::size_t dot = entry.key.find('.');
  std::string section(dot == std::string_view::npos ? "service" : entry.key.substr(0, dot));
  if (section == "service") {
    return "Rooms and files";
  }
  if (section == "tls") {
    return "TLS";
  }
  section.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(section.front())));
  return section;
}

std::string placeholder_of(const config::Entry& entry) {
  if (const auto* number = std::get_if<config::Number>(&entry.field)) {
    return number->unit == config::Unit::Seconds ? "SECONDS" : "N";
  }
  if (std::holds_alternative<config::TextList>(entry.field)) {
    return "TEXT,...";
  }
  const auto* text = std::get_if<config::Text>(&entry.field);
  if (text == nullptr || text->path == config::PathKind::NotAPath) {
    return "TEXT";
  }
  return text->path == config::PathKind::Path ? "FILE" : "DIR";
}

// Texts say what is allowed; a number's range is in its refusal and on the reference page.
std::string help_of(const config::Entry& entry) {
  std::string help(entry.help);
  const auto* text = std::get_if<config::Text>(&entry.field);
  if (text != nullptr && text->path == config::PathKind::NotAPath) {
    help += fmt::format(": {}", text->allowed);
  }
  const std::string value = config::value_as_toml(entry, config::Settings{});
  const std::string variable = entry.environment.empty() ? "" : fmt::format("; or ${}", entry.environment);
  return value == "\"\"" ? help + variable : fmt::format("{} [{}{}]", help, value, variable);
}

}  // namespace

void SettingFlags::add_to(CLI::App& app) {
  for (const config::Entry& entry : config::entries()) {
    if (entry.flags.empty()) {
      continue;
    }
    const std::size_t comma = entry.flags.find(',');
    const std::string_view spelling = comma == std::string_view::npos ? entry.flags : entry.flags.substr(comma + 1);
    Given& given = given_.emplace_back(Given{.entry = &entry, .spelling = std::string(spelling), .values = {}});
    app.add_option(std::string(entry.flags), given.values, help_of(entry))
        ->type_name(placeholder_of(entry))
        ->group(group_of(entry))
        ->expected(1)
        ->allow_extra_args(false)
        ->take_all();
  }
  add_sources_to(app);
}

void SettingFlags::add_sources_to(CLI::App& app) {
  app.add_option("--set", sets_, "Sets any key of jamsocket.toml, like limits.message_bytes_max=64KiB")
      ->type_name("KEY=VALUE")
      ->group("Settings")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  app.add_option("--config", config_file_, "Reads the settings of this jamsocket.toml")
      ->type_name("FILE")
      ->group("Settings");
}

std::expected<config::Loaded, std::vector<std::string>> SettingFlags::load(const std::string& file) const {
  config::Sources sources;
  if (!file.empty()) {
    sources.file = file;
  }
  sources.environment = config::process_environment;
  // What names a setting by its own flag wins over --set.
  for (const std::string& set : sets_) {
    auto flag = config::parse_set_flag(set);
    if (!flag) {
      return std::unexpected(std::vector<std::string>{std::move(flag).error()});
    }
    sources.flags.push_back(std::move(*flag));
  }
  for (const Given& given : given_) {
    if (!given.values.empty()) {
      const bool is_list = std::holds_alternative<config::TextList>(given.entry->field);
      sources.flags.push_back(
          {.entry = given.entry,
           .spelling = given.spelling,
           .value = is_list ? fmt::format("{}", fmt::join(given.values, ",")) : given.values.back()});
    }
  }
  return config::load(sources);
}

}  // namespace jamsocket::cli
