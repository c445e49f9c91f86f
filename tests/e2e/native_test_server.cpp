// tests/e2e/native_test_server.cpp
//
// native_test_server SERVICE [--set KEY=VALUE]...
//
// The native twin of `jamsocket serve SERVICE.wasm`: the same settings, the service compiled in.

#include <cstdio>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "config/load.hpp"
#include "native_services.hpp"
#include "server/process.hpp"
#include "server/server.hpp"
#include "service/native.hpp"

namespace jamsocket {
namespace {

constexpr int kExitRefused = 2;

int complain(std::string_view what, int exit_code) {
  std::fprintf(stderr, "native_test_server: %s\n", std::string(what).c_str());
  return exit_code;
}

std::expected<config::Loaded, std::vector<std::string>> settings_of(int argument_count, char** arguments) {
  config::Sources sources{.file = {}, .environment = config::process_environment, .flags = {}};
  for (int i = 2; i + 1 < argument_count; i += 2) {
    auto flag = config::parse_set_flag(arguments[i + 1]);
    if (std::string_view(arguments[i]) != "--set" || !flag) {
      return std::unexpected(std::vector{flag ? "only --set KEY=VALUE is known" : flag.error()});
    }
    sources.flags.push_back(std::move(*flag));
  }
  return config::load(sources);
}

int run(const ServerOptions& options, const std::string& log_format, std::unique_ptr<service::Service> service) {
  server::prepare_process();
  const SystemClock clock;
  const auto logger = make_stderr_logger(server::stderr_log_options(options.log_level, log_format));
  if (!logger) {
    return complain(logger.error().message, 1);
  }
  const auto server = server::Server::create(options, std::move(service), {.logger = **logger, .clock = clock});
  if (!server) {
    return complain(server.error().message, server.error().code == ErrorCode::InvalidArgument ? kExitRefused : 1);
  }
  const Result<void> ran =
      server::run_until_signalled(**server, [&server](std::uint16_t) { server::announce(**server); });
  return ran ? 0 : complain(ran.error().message, 1);
}

}  // namespace
}  // namespace jamsocket

int main(int argument_count, char** arguments) {
  const std::string name = argument_count > 1 ? arguments[1] : "";
  auto factory = jamsocket::test::native_service(name);
  if (!factory) {
    return jamsocket::complain("there is no service " + name, jamsocket::kExitRefused);
  }
  const auto loaded = jamsocket::settings_of(argument_count, arguments);
  if (!loaded) {
    return jamsocket::complain(loaded.error().front(), jamsocket::kExitRefused);
  }
  const jamsocket::config::Settings& settings = loaded->settings;
  return jamsocket::run(settings.server, settings.log_format,
                        jamsocket::service::make_native_service(name, std::move(factory)));
}
