#include "cli/admin_client.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include "base/log.hpp"
#include "base/system.hpp"
#include "io/socket.hpp"

namespace jamsocket::cli {
namespace {

constexpr timeval kPatience{.tv_sec = 60, .tv_usec = 0};
constexpr std::size_t kAnswerBytesMax = std::size_t{8} << 30U;

Result<io::Socket> connect_to(const server::AdminNote& note) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(note.host.c_str(), std::to_string(note.port).c_str(), &hints, &found) != 0) {
    return fail(ErrorCode::Io,
                fmt::format("the server's admin address {} is not known", escape_for_log(note.host, 100)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  int why = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    io::Socket socket(::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, each->ai_protocol));
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    if (::connect(socket.fd(), each->ai_addr, each->ai_addrlen) == 0) {
      return socket;
    }
    why = errno;
  }
  return fail(ErrorCode::Io, fmt::format("the server's admin listener at {}:{} cannot be reached: {}",
                                         escape_for_log(note.host, 100), note.port, words_of(why)));
}

// A server that has had enough answers before all is sent: then its answer counts.
void send_all(const io::Socket& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0 && errno != EINTR) {
      return;
    }
    bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
  }
}

Result<std::string> read_to_end(const io::Socket& socket) {
  std::string all;
  std::array<char, 65'536> buffer;
  for (;;) {
    const ssize_t got = ::recv(socket.fd(), buffer.data(), buffer.size(), 0);
    if (got == 0) {
      return all;
    }
    if (got > 0 && all.size() + static_cast<std::size_t>(got) <= kAnswerBytesMax) {
      all.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got < 0 && errno == EAGAIN) {
      return fail(
          ErrorCode::Io,
          fmt::format("the server did not answer within {} s; what was asked of it may happen yet", kPatience.tv_sec));
    } else if (got > 0 || errno != EINTR) {
      return fail(ErrorCode::Io, fmt::format("the server's answer broke off: {}", words_of(got > 0 ? EFBIG : errno)));
    }
  }
}

ErrorCode code_of(int status) {
  switch (status) {
    case 400:
      return ErrorCode::InvalidArgument;
    case 404:
      return ErrorCode::NotFound;
    case 409:
      return ErrorCode::AlreadyExists;
    case 413:
    case 503:
      return ErrorCode::LimitReached;
    default:
      return ErrorCode::Io;
  }
}

struct Answer {
  int status = 0;
  std::string_view body;
};

// Our own server's: a status line, headers with Content-Length, a body.
std::optional<Answer> take_apart(std::string_view whole) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const std::size_t end = whole.find("\r\n\r\n");
  if (!whole.starts_with(kVersion) || end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view head = whole.substr(0, end + 2);
  Answer answer{.body = whole.substr(end + 4)};
  std::from_chars(head.data() + kVersion.size(), head.data() + head.size(), answer.status);
  std::size_t length = 0;
  if (const std::size_t at = head.find(kLength); at != std::string_view::npos) {
    std::from_chars(head.data() + at + kLength.size(), head.data() + head.size(), length);
  }
  return answer.body.size() == length ? std::optional(answer) : std::nullopt;
}

std::string sentence_of(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const bool has_sentence = json.is_object() && json.contains("error") && json["error"].is_string();
  return has_sentence ? json["error"].get<std::string>() : std::string(body.substr(0, body.find('\n')));
}

}  // namespace

std::string encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == '~';
    if (is_plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result<AdminClient> AdminClient::of_directory(const std::filesystem::path& directory) {
  AdminClient client(JAM_TRY(server::read_admin_note(directory)));
  JAM_TRY_VOID(connect_to(client.note_));  // One that was killed leaves its note behind.
  return client;
}

Result<std::string> AdminClient::ask(std::string_view method, std::string_view target, std::string_view body) const {
  const io::Socket socket = JAM_TRY(connect_to(note_));
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, target);
  if (!note_.token.empty()) {
    head += fmt::format("Authorization: Bearer {}\r\n", note_.token);
  }
  if (!body.empty()) {
    head += fmt::format("Content-Length: {}\r\n", body.size());
  }
  send_all(socket, head + "\r\n");
  send_all(socket, body);
  const std::string whole = JAM_TRY(read_to_end(socket));
  const auto answer = take_apart(whole);
  if (!answer) {
    return fail(ErrorCode::Io, "the server's answer broke off");
  }
  if (answer->status == 401) {
    return fail(ErrorCode::Io,
                "the server does not take the token of admin.json: it is of another one, or was changed");
  }
  if (answer->status != 200) {
    return fail(code_of(answer->status), sentence_of(answer->body));
  }
  return std::string(answer->body);
}

}  // namespace jamsocket::cli
