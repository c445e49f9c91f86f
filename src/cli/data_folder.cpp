#include "cli/data_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/log.hpp"
#include "base/number.hpp"
#include "base/system.hpp"

namespace jamsocket::cli {

void add_data_option(CLI::App& app, std::string& folder, DataUse use) {
  app.add_option("--data", folder,
                 use == DataUse::Alone
                     ? "The folder where the rooms are kept; no server may be using it"
                     : "The folder where the rooms are kept; a server that uses it needs an admin listener")
      ->type_name("DIR")
      ->required();
}

CLI::Option* add_event_option(CLI::App& app, std::uint64_t& event, const std::string& help) {
  return app.add_option("--to", event, help)->type_name("EVENT")->check([](const std::string& text) {
    return parse_number<std::uint64_t>(text)
               ? std::string()
               : fmt::format("is '{}'; allowed: the number of an event, as 'jamsocket rooms show' has them",
                             escape_for_log(text, 40));
  });
}

Result<std::unique_ptr<store::Database>> open_data(const std::string& folder, IfMissing if_missing) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(std::filesystem::path(folder) / "rooms.db", error);
  if (!is_there && if_missing == IfMissing::Refuse) {
    return fail(ErrorCode::NotFound, fmt::format("there are no rooms kept in '{}'", escape_for_log(folder, 300)));
  }
  // How much history is wanted is the server's affair: nothing goes because a command looked.
  return store::Database::open(folder, {.history = {.all = true}});
}

Result<std::string> read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(path, 300), words_of(errno)));
  }
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

Result<void> write_new_file(const std::string& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(path, 300), words_of(errno)));
  }
  bool done = true;
  while (!bytes.empty() && done) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    done = written > 0 || (written < 0 && errno == EINTR);
    bytes.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
  done = done && ::fsync(file) == 0;
  const int why = errno;
  ::close(file);
  if (!done) {
    ::unlink(path.c_str());
    return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(path, 300), words_of(why)));
  }
  return {};
}

}  // namespace jamsocket::cli
