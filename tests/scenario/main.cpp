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
#ifdef JAMSOCKET_SCENARIO_MODULES
#include "wasm/engine.hpp"
#include "wasm/module.hpp"
#include "wasm/module_service.hpp"
#endif

namespace jamsocket::scenario {
namespace {

Result<void> run_native(const std::string& file, const Scenario& scenario) {
  auto factory = test::native_service(scenario.service);
  if (!factory) {
    return fail(ErrorCode::NotFound, "there is no native service " + scenario.service);
  }
  return run_scenario(file, scenario, service::make_native_service(scenario.service, std::move(factory)));
}

#ifdef JAMSOCKET_SCENARIO_MODULES
Result<void> run_module(const std::string& module_file, const std::string& file, const Scenario& scenario) {
  const wasm::Engine engine;
  auto module = JAM_TRY(engine.load_file(module_file, {}));
  return run_scenario(file, scenario, wasm::make_module_service(scenario.service, std::move(module), {}));
}
#else
Result<void> run_module(const std::string&, const std::string&, const Scenario&) {
  return fail(ErrorCode::Unsupported, "this program was built without the module host");
}
#endif

Result<void> run(const std::string& how, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  if (!stream) {
    return fail(ErrorCode::Io, file + ": cannot be read");
  }
  const Scenario scenario = JAM_TRY(parse_scenario(file, text.str()));
  const bool native = how == "native";
  if (scenario.only == (native ? Only::Module : Only::Native)) {
    std::fputs("not for this kind of service\n", stderr);
    return {};
  }
  return native ? run_native(file, scenario) : run_module(how, file, scenario);
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
