// cli/commands.hpp
//
// The commands, a file each: every one adds itself to the command line and says how it is run.

#pragma once

#include <functional>
#include <memory>

namespace CLI {
class App;
}  // namespace CLI

namespace jamsocket::cli {

struct Command {
  CLI::App* app = nullptr;   ///< Owned by the whole command line.
  std::function<int()> run;  ///< Once the command line was parsed; gives the exit code.
};

Command add_dev(CLI::App& whole);
Command add_build(CLI::App& whole);
Command add_serve(CLI::App& whole);
Command add_check(CLI::App& whole);
Command add_config(CLI::App& whole);
Command add_rooms(CLI::App& whole);
Command add_replay(CLI::App& whole);
Command add_data(CLI::App& whole);
Command add_token(CLI::App& whole);

}  // namespace jamsocket::cli
