#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace jamsocket::cli {
namespace {

void write_line(std::FILE* file, std::string_view line) {
  // Not fmt::print: it throws where the disk is full.
  const std::string whole = fmt::format("{}\n", line);
  std::fwrite(whole.data(), 1, whole.size(), file);
  std::fflush(file);
}

bool stderr_has_colours() {
  const char* no_color = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nothing here sets variables.
  return isatty(STDERR_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

void say(std::string_view line) { write_line(stdout, line); }

void write_out(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void note(std::string_view line) { write_line(stderr, line); }

int complain(std::string_view what, int exit_code) {
  note(stderr_has_colours() ? fmt::format("\x1b[31mjamsocket:\x1b[0m {}", what) : fmt::format("jamsocket: {}", what));
  return exit_code;
}

int unless_output_was_lost(int exit_code) {
  return exit_code == kExitDone && std::ferror(stdout) != 0
             ? complain("not all of the output could be written: is its disk full?")
             : exit_code;
}

int complain_of_settings(std::span<const std::string> problems) {
  for (const std::string& problem : problems) {
    note(problem);
  }
  return kExitUsage;
}

}  // namespace jamsocket::cli
