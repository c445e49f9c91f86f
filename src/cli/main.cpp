#include "cli/app.hpp"

#include "cli/compile_module.hpp"

int main(int argument_count, char** arguments) {
  // Before anything else looks at the words or starts a thread.
  if (const auto exit_code = jamsocket::cli::compile_module_if_asked(argument_count, arguments)) {
    return *exit_code;
  }
  return jamsocket::cli::run(argument_count, arguments);
}
