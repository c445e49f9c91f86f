// tests/scenario/main.cpp
//
// scenario_runner native FILE.room
// scenario_runner MODULE.wasm FILE.room
//
// Exit code: 0 the scenario holds, or is not for this kind of service; 1 it does not; 2 usage.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "native_services.hpp"
#include "runner.hpp"
#include "scenario.hpp"
#include "service/native.hpp"

namespace jamsocket::scenario {
namespace {

Result<std::unique_ptr<service::Service>> make_service(std::string_view how, const Scenario& scenario) {
  if (how == "native") {
    auto factory = test::native_service(scenario.service);
    if (!factory) {
      return fail(ErrorCode::NotFound, "there is no native service " + scenario.service);
    }
    return service::make_native_service(scenario.service, std::move(factory));
  }
  return fail(ErrorCode::Unsupported, "modules: not yet");
}

Result<void> run(std::string_view how, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  if (!stream) {
    return fail(ErrorCode::Io, file + ": cannot be read");
  }
  const Scenario scenario = JAM_TRY(parse_scenario(file, text.str()));
  if (scenario.only == (how == "native" ? Only::Module : Only::Native)) {
    std::fputs("not for this kind of service\n", stderr);
    return {};
  }
  auto service = JAM_TRY(make_service(how, scenario));
  return run_scenario(file, scenario, std::move(service));
}

}  // namespace
}  // namespace jamsocket::scenario

int main(int argument_count, char** arguments) {
  if (argument_count != 3) {
    std::fputs("usage: scenario_runner native|MODULE.wasm FILE.room\n", stderr);
    return 2;
  }
  if (const auto outcome = jamsocket::scenario::run(arguments[1], arguments[2]); !outcome) {
    std::fprintf(stderr, "%s\n", outcome.error().message.c_str());
    return 1;
  }
  return 0;
}
