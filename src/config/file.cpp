#include "config/file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

// Errors come back as values: no exception crosses a folder's border.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/log.hpp"
#include "config/assign.hpp"
#include "config/patterns.hpp"
#include "config/suggest.hpp"

namespace jamsocket::config {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1} << 20U;

Place place_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

// "server" of "server.port", empty of "static_files".
std::string_view section_of(std::string_view key) {
  const std::size_t dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}
std::string_view name_in_section(std::string_view key) {
  const std::size_t dot = key.find('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

std::vector<std::string_view> names_in(std::string_view section) {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries()) {
    if (section_of(entry.key) == section) {
      names.push_back(name_in_section(entry.key));
    }
  }
  return names;
}

std::vector<std::string_view> sections() {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries()) {
    const std::string_view section = section_of(entry.key);
    if (!section.empty() && std::ranges::find(names, section) == names.end()) {
      names.push_back(section);
    }
  }
  return names;
}

std::string in_section(std::string_view section) {
  return section.empty() ? "at the top level" : fmt::format("in [{}]", section);
}

// Looks beside the key first, then for the same name in other sections.
std::string unknown_key(std::string_view section, std::string_view name) {
  const std::string shown = fmt::format("unknown key '{}' {}", escape_for_log(name, 80), in_section(section));
  const auto names = names_in(section);
  if (const std::string near = nearest(name, names); !near.empty()) {
    return fmt::format("{}; did you mean '{}'?", shown, near);
  }
  for (const Entry& entry : entries()) {
    if (name_in_section(entry.key) == name) {
      return fmt::format("{}; it belongs {}", shown, in_section(section_of(entry.key)));
    }
  }
  return fmt::format("{}; allowed: {}", shown, fmt::join(names, ", "));
}

std::string unknown_section(std::string_view name) {
  const auto known = sections();
  const std::string near = nearest(name, known);
  const std::string shown = fmt::format("unknown section [{}]", escape_for_log(name, 80));
  return near.empty() ? fmt::format("{}; allowed: [{}]", shown, fmt::join(known, "], ["))
                      : fmt::format("{}; did you mean [{}]?", shown, near);
}

std::string_view type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::floating_point:
      return "a number with a fraction or an exponent";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    case toml::node_type::table:
      return "a section";
    default:
      return "a list";
  }
}

std::string assign_array(const Entry& entry, const toml::array& array, Settings& settings) {
  std::vector<std::string> texts;
  for (const toml::node& element : array) {
    const auto text = element.value<std::string>();
    if (!element.is_string() || !text) {
      return wrong_type(entry, "a list of something else than texts");
    }
    texts.push_back(*text);
  }
  return assign_list(entry, texts, settings);
}

std::string assign_node(const Entry& entry, const toml::node& node, const std::string& folder, Settings& settings) {
  if (const auto* integer = node.as_integer()) {
    return assign_integer(entry, integer->get(), settings);
  }
  if (const auto* text = node.as_string()) {
    return assign_string(entry, text->get(), folder, settings);
  }
  if (const auto* array = node.as_array()) {
    return assign_array(entry, *array, settings);
  }
  return wrong_type(entry, type_name(node.type()));
}

class Applier {
 public:
  Applier(const std::string& folder, Settings& settings) : folder_(folder), settings_(settings) {}

  void apply_top(const toml::table& top) {
    const auto known = sections();
    for (const auto& [key, node] : top) {
      if (std::ranges::find(known, key.str()) == known.end()) {
        apply(std::string_view(), key, node);
      } else if (const toml::table* table = node.as_table()) {
        for (const auto& [inner_key, inner_node] : *table) {
          apply(key.str(), inner_key, inner_node);
        }
      } else {
        problem(key.source(), fmt::format("'{0}' is a section; write [{0}], then its keys", key.str()));
      }
    }
  }

  FileContents take() {
    std::ranges::sort(contents_.problems, {}, &FileProblem::place);
    return std::move(contents_);
  }

 private:
  void apply(std::string_view section, const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    // A quoted key may hold a dot; then it is no path of ours.
    const Entry* entry = name.find('.') != std::string_view::npos ? nullptr
                         : section.empty()                        ? find_entry(name)
                                                                  : find_entry(fmt::format("{}.{}", section, name));
    if (entry == nullptr) {
      const bool is_section = section.empty() && node.is_table();
      problem(key.source(), is_section ? unknown_section(name) : unknown_key(section, name));
      return;
    }
    const Place place = place_of(node.source());
    if (std::string wrong = assign_node(*entry, node, folder_, settings_); !wrong.empty()) {
      contents_.problems.push_back({place, std::move(wrong)});
      return;
    }
    contents_.keys.push_back({entry, place});
  }

  void problem(const toml::source_region& where, std::string text) {
    contents_.problems.push_back({place_of(where), std::move(text)});
  }

  const std::string& folder_;
  Settings& settings_;
  FileContents contents_;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

// The entry whose value is set on `line`, as far as a plain look at the lines can tell: for what the
// parser could not read (`10 s`, 2^64) the table still knows what is allowed.
const Entry* entry_on_line(std::string_view text, std::uint32_t line) {
  std::string section;
  for (std::uint32_t number = 1; number <= line && !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (content.starts_with('[') && content.ends_with(']')) {
      section = std::string(trimmed(content.substr(1, content.size() - 2))) + ".";
    } else if (number == line) {
      return find_entry(section + std::string(trimmed(content.substr(0, content.find('=')))));
    }
  }
  return nullptr;
}

std::string syntax_problem(const toml::parse_error& error, std::string_view text) {
  std::string description = escape_for_log(error.description(), 200);
  const Entry* entry = entry_on_line(text, static_cast<std::uint32_t>(error.source().begin.line));
  if (entry != nullptr && description.find("redefine") != std::string::npos) {
    return fmt::format("{} is set twice; allowed: once", entry->key);
  }
  return entry == nullptr ? description + "; allowed: TOML 1.0"
                          : fmt::format("{}; allowed for {}: {}", description, entry->key, allowed_text(*entry));
}

FileContents whole_file_problem(std::string text) { return {.keys = {}, .problems = {{Place{}, std::move(text)}}}; }

}  // namespace

FileContents apply_toml(std::string_view text, const std::string& folder, Settings& settings) {
  if (text.starts_with("\xEF\xBB\xBF") || text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    return {.keys = {},
            .problems = {{Place{1, 1}, "the file begins with a byte order mark; allowed: UTF-8 without one"}}};
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return {.keys = {}, .problems = {{place_of(parsed.error().source()), syntax_problem(parsed.error(), text)}}};
  }
  Applier applier(folder, settings);
  applier.apply_top(parsed.table());
  return applier.take();
}

FileContents apply_file(const std::string& path, Settings& settings) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return whole_file_problem("is a folder; allowed: a TOML file");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) {
    return whole_file_problem(
        fmt::format("cannot be read: {}", std::strerror(errno)));  // NOLINT(concurrency-mt-unsafe)
  }
  std::string text(kFileBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return whole_file_problem("cannot be read to its end");
  }
  if (text.size() > kFileBytesMax) {
    return whole_file_problem(fmt::format("is too large; allowed: {}", format_size(kFileBytesMax)));
  }
  return apply_toml(text, std::filesystem::path(path).parent_path().string(), settings);
}

}  // namespace jamsocket::config
