// tests/e2e/native_test_server.cpp
//
// native_test_server SERVICE [--set KEY=VALUE]...
//
// The native twin of `jamsocket serve SERVICE.wasm`: the same settings, the service compiled in.

#include <cstdio>
#include <string>
#include <string_view>

#include "config/load.hpp"
#include "jamsocket/server.hpp"
#include "native_services.hpp"

int main(int argument_count, char** arguments) {
  namespace config = jamsocket::config;
  config::Sources sources{.file = {}, .environment = config::process_environment, .flags = {}};
  for (int i = 2; i + 1 < argument_count; i += 2) {
    auto flag = config::parse_set_flag(arguments[i + 1]);
    if (std::string_view(arguments[i]) != "--set" || !flag) {
      std::fprintf(stderr, "%s\n", flag ? "only --set KEY=VALUE is known" : flag.error().c_str());
      return 2;
    }
    sources.flags.push_back(std::move(*flag));
  }
  const auto loaded = config::load(sources);
  auto factory = jamsocket::test::native_service(argument_count > 1 ? arguments[1] : "");
  if (!loaded || !factory) {
    std::fprintf(stderr, "%s\n", loaded ? "there is no such service" : loaded.error().front().c_str());
    return 2;
  }
  const jamsocket::ServerOptions& options = loaded->settings.server;
  return jamsocket::detail::serve_until_signalled(jamsocket::Server(options, std::move(factory)), options);
}
