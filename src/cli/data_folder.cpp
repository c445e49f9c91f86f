#include "cli/data_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/log.hpp"
#include "base/number.hpp"
#include "base/system.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{8} << 30U;

}  // namespace

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
               : fmt::format("'{}' is no number of an event; allowed: 0 to the one that 'jamsocket rooms show' has",
                             escape_for_log(text, 40));
  });
}

Result<std::unique_ptr<store::Database>> open_data(const std::string& folder, IfMissing if_missing,
                                                   std::chrono::milliseconds wait, Mend mend) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(std::filesystem::path(folder) / "rooms.db", error);
  if (error) {
    return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(folder, 300), words_of(error.value())));
  }
  if (!is_there && if_missing == IfMissing::Refuse) {
    return fail(ErrorCode::NotFound, fmt::format("there are no rooms kept in '{}'", escape_for_log(folder, 300)));
  }
  // How much history is wanted is the server's affair: nothing goes because a command looked.
  auto data = store::Database::open(folder, {.history = {.all = true}, .mend = mend, .lock_wait = wait});
  if (!data && data.error().code == ErrorCode::Malformed && !data.error().message.contains("restore a backup")) {
    data.error().message +=
        "; a server with this folder mends what can be mended, and so does 'jamsocket data compact'";
  }
  return data;
}

Result<std::string> read_whole_file(const std::string& path) {
  constexpr std::size_t kPiece = std::size_t{1} << 20U;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes;
  for (std::size_t size = 0; file.valid();) {
    bytes.resize(size + kPiece);
    const ssize_t got = ::read(file.get(), bytes.data() + size, kPiece);
    if (got < 0 && errno != EINTR) {
      break;
    }
    size += got > 0 ? static_cast<std::size_t>(got) : 0;
    if (size > kFileBytesMax) {
      return fail(ErrorCode::TooLarge,
                  fmt::format("{}: a room's file has at most {} GiB", escape_for_log(path, 300), kFileBytesMax >> 30U));
    }
    if (got == 0) {
      bytes.resize(size);
      return bytes;
    }
  }
  return fail(ErrorCode::Io, fmt::format("{}: {}", escape_for_log(path, 300), words_of(errno)));
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
