#include "load/options.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <variant>

namespace jamsocket::bench {
namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 6> kModes{{{"echo", Mode::Echo},
                                                                   {"fanout", Mode::Fanout},
                                                                   {"idle", Mode::Idle},
                                                                   {"rooms", Mode::Rooms},
                                                                   {"churn", Mode::Churn},
                                                                   {"trickle", Mode::Trickle}}};

using Target = std::variant<std::string*, std::uint16_t*, unsigned*, double*, pid_t*>;

void assign(const Target& target, std::string_view name, std::string_view text) {
  std::visit(
      [name, text](auto* value) {
        if constexpr (std::is_same_v<decltype(value), std::string*>) {
          *value = text;
        } else {
          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
          if (error != std::errc{} || end != text.data() + text.size()) {
            die(std::string(name) + " takes a number, not " + std::string(text));
          }
        }
      },
      target);
}

Mode mode_of(std::string_view name) {
  for (const auto& [known, mode] : kModes) {
    if (known == name) {
      return mode;
    }
  }
  die("no such mode: " + std::string(name));
}

void check(const LoadOptions& options) {
  if (options.payload < 16) {
    die("--payload must be at least 16");
  }
  if (options.proxy && options.tls) {
    die("--proxy goes without --tls");
  }
  for (const unsigned count : {options.conns, options.rooms, options.publishers, options.depth, options.window,
                               options.burst, options.cycles}) {
    if (count == 0) {
      die("counts must be at least 1");
    }
  }
  if (options.mode == Mode::Trickle && (!options.tls || options.rate <= 0)) {
    die("trickle needs --tls and --rate");
  }
}

}  // namespace

void die(std::string_view what) {
  std::fprintf(stderr, "wsload: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(2);
}

void die_errno(std::string_view what) { die(std::string(what) + ": " + std::strerror(errno)); }

LoadOptions parse_load_options(int argc, char** argv) {
  if (argc < 2) {
    die("usage: wsload echo|fanout|idle|rooms|churn|trickle [--option value]...");
  }
  LoadOptions options;
  options.mode_name = argv[1];
  options.mode = mode_of(options.mode_name);
  const std::map<std::string_view, Target> targets{
      {"--host", &options.host},       {"--port", &options.port},       {"--path", &options.path},
      {"--conns", &options.conns},     {"--rooms", &options.rooms},     {"--publishers", &options.publishers},
      {"--payload", &options.payload}, {"--depth", &options.depth},     {"--window", &options.window},
      {"--rate", &options.rate},       {"--seconds", &options.seconds}, {"--warmup", &options.warmup},
      {"--burst", &options.burst},     {"--cycles", &options.cycles},   {"--server-pid", &options.server_pid},
      {"--label", &options.label},     {"--header", &options.header}};
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--text") {
      options.text = true;
      continue;
    }
    if (name == "--tls") {
      options.tls = true;
      continue;
    }
    if (name == "--proxy") {
      options.proxy = true;
      continue;
    }
    if (name == "--spin") {
      options.spin = true;
      continue;
    }
    const auto target = targets.find(name);
    if (target == targets.end()) {
      die("no such option: " + std::string(name));
    }
    if (++i == argc) {
      die("a value is missing after " + std::string(name));
    }
    assign(target->second, name, argv[i]);
  }
  check(options);
  return options;
}

}  // namespace jamsocket::bench
