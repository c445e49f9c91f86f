#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace jamsocket::cli {
namespace {

// Not by fmt::print, which throws where nothing can be written: a full disk is no reason to abort.
void write_line(std::FILE* file, std::string_view line) {
  const std::string with_end = fmt::format("{}\n", line);
  std::fwrite(with_end.data(), 1, with_end.size(), file);
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

int with_all_said(int exit_code) {
  const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
  return lost && exit_code == kExitDone ? complain("standard output cannot be written: what was said is lost")
                                        : exit_code;
}

int complain(std::string_view what, int exit_code) {
  note(stderr_has_colours() ? fmt::format("\x1b[31mjamsocket:\x1b[0m {}", what) : fmt::format("jamsocket: {}", what));
  return exit_code;
}

int complain_of_settings(std::span<const std::string> problems) {
  for (const std::string& problem : problems) {
    note(problem);
  }
  return kExitUsage;
}

}  // namespace jamsocket::cli
