// bench_native: the measured services inside a server of our own, without the sandbox.
//
//   bench_native echo|fanout [--port N] [--shards N] [--shutdown-policy POLICY] [--tls-cert FILE --tls-key FILE]
//                [--set KEY=VALUE]...

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "config/load.hpp"

#include <jamsocket/server.hpp>

// The very sources the modules are made of.
#include "echo/echo.cpp"        // NOLINT(bugprone-suspicious-include)
#include "services/fanout.cpp"  // NOLINT(bugprone-suspicious-include)

namespace {

namespace config = jamsocket::config;

int usage() {
  std::fprintf(stderr,
               "usage: bench_native echo|fanout [--port N] [--shards N] [--shutdown-policy POLICY] [--tls-cert FILE "
               "--tls-key FILE] [--set KEY=VALUE]...\n");
  return 2;
}

// Of the command's settings, those of --set; nothing else counts.
std::optional<jamsocket::ServerOptions> options_of(int argc, char** argv) {
  config::Sources sources{.file = {}, .environment = [](std::string_view) { return std::nullopt; }, .flags = {}};
  for (int i = 2; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--set") {
      auto flag = config::parse_set_flag(argv[i + 1]);
      if (!flag) {
        std::fprintf(stderr, "bench_native: %s\n", flag.error().c_str());
        return std::nullopt;
      }
      sources.flags.push_back(std::move(*flag));
    }
  }
  const auto loaded = config::load(sources);
  if (!loaded) {
    std::fprintf(stderr, "bench_native: %s\n", loaded.error().front().c_str());
    return std::nullopt;
  }
  return loaded->settings.server;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    return usage();
  }
  const std::string_view service = argv[1];
  auto set = options_of(argc, argv);
  if (!set) {
    return 2;
  }
  jamsocket::ServerOptions options = *std::move(set);
  options.log_level = "error";
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::strtoul(value, nullptr, 10));
    } else if (name == "--shards") {
      options.shards = static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10));
    } else if (name == "--shutdown-policy") {
      options.shutdown_policy = value;
    } else if (name == "--tls-cert") {
      options.tls_cert = value;
    } else if (name == "--tls-key") {
      options.tls_key = value;
    } else if (name != "--set") {
      return usage();
    }
  }
  if (service == "echo") {
    return jamsocket::serve<Echo>(options);
  }
  if (service == "fanout") {
    return jamsocket::serve<Fanout>(options);
  }
  return usage();
}
