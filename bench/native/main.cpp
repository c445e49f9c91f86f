// bench_native: the measured services inside a server of our own, without the sandbox.
//
//   bench_native echo|fanout [--port N] [--shards N] [--shutdown-policy POLICY] [--tls-cert FILE --tls-key FILE]

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <jamsocket/server.hpp>

// The very sources the modules are made of.
#include "echo/echo.cpp"        // NOLINT(bugprone-suspicious-include)
#include "services/fanout.cpp"  // NOLINT(bugprone-suspicious-include)

namespace {

int usage() {
  std::fprintf(stderr,
               "usage: bench_native echo|fanout [--port N] [--shards N] [--shutdown-policy POLICY] [--tls-cert FILE "
               "--tls-key FILE]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    return usage();
  }
  const std::string_view service = argv[1];
  jamsocket::ServerOptions options;
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
    } else {
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
