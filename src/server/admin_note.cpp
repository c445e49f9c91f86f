#include "server/admin_note.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/system.hpp"
#include "service/random.hpp"

namespace jamsocket::server {
namespace {

constexpr const char* kFileName = "admin.json";

// From this machine: 0.0.0.0 and :: are no addresses to go to.
std::string reachable(const std::string& host) { return host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host; }

}  // namespace

std::string random_token() {
  std::string token;
  for (const std::byte byte : service::random_seed()) {
    token += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  return token;
}

Result<void> write_admin_note(const std::filesystem::path& directory, const AdminNote& note) {
  const std::filesystem::path made = directory / "admin.json.new";
  const std::string text =
      nlohmann::json{{"host", reachable(note.host)}, {"port", note.port}, {"token", note.token}}.dump() + "\n";
  std::error_code error;
  std::filesystem::remove(made, error);
  const int file = ::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool written = file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int why = errno;
  if (file >= 0) {
    ::close(file);
  }
  if (!written) {
    return fail(ErrorCode::Io, fmt::format("{} cannot be written: {}", made.string(), words_of(why)));
  }
  std::filesystem::rename(made, directory / kFileName, error);
  if (error) {
    return fail(ErrorCode::Io, fmt::format("{} cannot be renamed: {}", made.string(), error.message()));
  }
  return {};
}

Result<AdminNote> read_admin_note(const std::filesystem::path& directory) {
  std::ifstream file(directory / kFileName, std::ios::binary);
  if (!file.is_open()) {
    const bool is_missing = errno == ENOENT;
    return fail(ErrorCode::NotFound, is_missing ? fmt::format("there is no {} in {}", kFileName, directory.string())
                                                : fmt::format("{} in {} cannot be read: {}", kFileName,
                                                              directory.string(), words_of(errno)));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("host") || !json["host"].is_string() || !json.contains("port") ||
      !json["port"].is_number_unsigned() || json["port"].get<std::uint64_t>() > 65'535 || !json.contains("token") ||
      !json["token"].is_string()) {
    return fail(ErrorCode::Malformed, fmt::format("{} in {} is damaged", kFileName, directory.string()));
  }
  return AdminNote{.host = json["host"].get<std::string>(),
                   .port = json["port"].get<std::uint16_t>(),
                   .token = json["token"].get<std::string>()};
}

void remove_admin_note(const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::remove(directory / kFileName, ignored);
}

}  // namespace jamsocket::server
