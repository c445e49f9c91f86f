#include "config/docs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace jamsocket::config {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Generated: build/release/bin/jamsocket config docs > docs/configuration.md -->

A setting comes from a flag, else from the environment, else from `jamsocket.toml`, else it has its default.

- **Flags**: those named below, and `--set KEY=VALUE` for every key (`--set limits.message_bytes_max=64KiB`).
- **Environment**: the variables named below; an empty one counts as unset.
- **File**: `jamsocket dev` and `jamsocket build` read `jamsocket.toml` in the folder they are given; `jamsocket serve`
  reads the file that `--config` names, and no other. Relative paths in the file are relative to its folder, those of
  flags to the working directory. The file is TOML 1.0, UTF-8 without byte order mark, at most 1 MiB; an empty one is fine.

Numbers are whole. A key that is a time ends in its unit: `_seconds` or `_ms`. Sizes are bytes, or texts with a unit and no
space: `"64KiB"`, `"1MiB"`, `"1GiB"`. Variables like `${HOME}` are not replaced.

An unknown key or a value that is not allowed stops the command with exit code 2 and one line a problem:

    jamsocket.toml:3:8: server.port is 70000; allowed: 0 to 65535, a whole number

`jamsocket config check [FILE]` checks a file, `jamsocket config show` prints what is in force and where it comes from,
`jamsocket config example` prints a file with every key.
)";

constexpr std::string_view kServicesAbout = R"(
## [services.NAME]

Further services in the same server, each with a section: its rooms are at `/ws/NAME/{room}`, made by `POST
/ws/NAME/{room}` and `POST /new_room/NAME`, and its `static_files` at `/NAME/`. `module` must be set. NAME is 1 to 63 of a-z, 0-9,
- and _, beginning with a letter or a digit. What `serve` is given as its module, or `[service]` names, stays at `/ws/{room}`; with
services it may be left out.

    [services.chat]
    module = "chat.wasm"
    shutdown_policy = "60sec"
)";

struct Section {
  std::string_view name;
  std::string_view about;
};

constexpr std::array<Section, 10> kSections{{
    {"", ""},
    {"server", "The process: where it listens, its threads, its log."},
    {"tls", "TLS on every place where the server listens: [security.md](security.md#tls)."},
    {"service",
     "What rooms are. `jamsocket dev` and `build` make a module of `package` or of `source`: with clang for C++, with "
     "Rust's compiler for a `Cargo.toml`, with AssemblyScript's for a `package.json`. At most one of `package`, "
     "`source` "
     "and `module` may be set; without any, the folder itself is the package. `serve` is given its module and reads "
     "the "
     "other keys."},
    {"auth", "Who may come in: [security.md](security.md)."},
    {"modules", "How modules are compiled. What was compiled once is in the cache and not compiled again."},
    {"proxies", "Who is behind a proxy: [operations.md](operations.md#behind-a-proxy)."},
    {"admin", "The second listener, for operators: [admin.md](admin.md)."},
    {"client", "What browsers get at `/client`."},
    {"limits", "What each limit does when it is reached. Every hit is counted."},
}};

std::string_view section_of(const Entry& entry) {
  const std::size_t dot = entry.key.find('.');
  return dot == std::string_view::npos ? std::string_view() : entry.key.substr(0, dot);
}
std::string_view name_of(const Entry& entry) { return last_word(entry.key); }

bool is_unset(const Entry& entry, const Settings& settings) { return value_as_toml(entry, settings) == "\"\""; }

std::string in_code(std::string_view text) { return fmt::format("`{}`", text); }

// "`-p`, `--port`, `PORT`" for "-p,--port" and PORT.
std::string ways_to_set(const Entry& entry) {
  std::string ways;
  std::string_view flags = entry.flags;
  while (!flags.empty()) {
    const std::size_t comma = std::min(flags.find(','), flags.size());
    ways += (ways.empty() ? "" : ", ") + in_code(flags.substr(0, comma));
    flags.remove_prefix(std::min(comma + 1, flags.size()));
  }
  if (!entry.environment.empty()) {
    ways += (ways.empty() ? "" : ", ") + in_code(entry.environment);
  }
  return ways;
}

std::string table_of(std::string_view section) {
  const Settings defaults;
  std::string table = "| key | default | allowed | flag, variable | what |\n|---|---|---|---|---|\n";
  for (const Entry& entry : entries()) {
    if (section_of(entry) == section) {
      table += fmt::format("| `{}` | {} | {} | {} | {} |\n", name_of(entry),
                           is_unset(entry, defaults) ? "not set" : in_code(value_as_toml(entry, defaults)),
                           allowed_text(entry), ways_to_set(entry), entry.help);
    }
  }
  return table;
}

}  // namespace

std::string reference_markdown() {
  std::string page(kIntroduction);
  for (const Section& section : kSections) {
    page += section.name.empty() ? "\n## Top level\n" : fmt::format("\n## [{}]\n\n{}\n", section.name, section.about);
    page += "\n" + table_of(section.name);
  }
  page += kServicesAbout;
  page += "\n| key | as in | default |\n|---|---|---|\n";
  for (const Entry& entry : entries()) {
    if (entry.scope == Scope::Service) {
      const bool own = entry.key == "service.module" || entry.key == "static_files";
      page +=
          fmt::format("| `{}` | `{}` | {} |\n", last_word(entry.key), entry.key, own ? "not set" : "what is set there");
    }
  }
  return page;
}

std::string example_toml() {
  const Settings defaults;
  std::string text = "# Every setting of jamsocket at its default. Remove a \"#\" in front of a key to set it.\n";
  for (const Section& section : kSections) {
    text += section.name.empty() ? "" : fmt::format("\n[{}]\n", section.name);
    for (const Entry& entry : entries()) {
      if (section_of(entry) == section.name) {
        text += fmt::format("# {}. Allowed: {}.\n# {} = {}\n", entry.help, allowed_text(entry), name_of(entry),
                            value_as_toml(entry, defaults));
      }
    }
  }
  return text;
}

std::string settings_toml(const Loaded& loaded) {
  std::string text;
  for (const Section& section : kSections) {
    text += section.name.empty() ? "" : fmt::format("\n[{}]\n", section.name);
    for (std::size_t i = 0; i < entries().size(); ++i) {
      const Entry& entry = entries()[i];
      if (section_of(entry) == section.name) {
        const std::string_view unset = is_unset(entry, loaded.settings) ? "# " : "";
        const std::string line = fmt::format("{}{} = {}", unset, name_of(entry), value_as_toml(entry, loaded.settings));
        text += fmt::format("{:<48} # {}\n", line, loaded.origins[i]);
      }
    }
  }
  for (const NamedService& service : loaded.services) {
    text += fmt::format("\n{:<48} # {}\n", fmt::format("[services.{}]", service.name), service.origin);
    for (const FileKey& key : service.keys) {
      text += fmt::format("{} = {}\n", last_word(key.entry->key), value_as_toml(*key.entry, service.settings));
    }
  }
  return text;
}

}  // namespace jamsocket::config
