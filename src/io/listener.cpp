#include "io/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>

#include "base/address.hpp"
#include "base/log.hpp"
#include "base/system.hpp"

namespace jamsocket::io {
namespace {

constexpr int kBacklog = 4096;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::string shown(const Endpoint& endpoint) { return escape_for_log(endpoint.text(), 300); }

// The address that a socket is bound to, of the families that we listen on.
std::optional<Endpoint> bound_to(const Socket& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return std::nullopt;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    IpAddress::Bytes bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return Endpoint{.host = IpAddress::v6(bytes).text(), .port = ntohs(v6.sin6_port)};
  }
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return Endpoint{.host = IpAddress::v4(bytes).text(), .port = ntohs(v4.sin_port)};
  }
  if (storage.ss_family == AF_UNIX) {
    sockaddr_un unix_address{};
    std::memcpy(&unix_address, &storage, sizeof unix_address);
    const std::size_t bytes = length - offsetof(sockaddr_un, sun_path);
    const std::string_view path(unix_address.sun_path, std::min(bytes, sizeof unix_address.sun_path));
    // An abstract name begins with NUL; it is shown, never opened.
    return Endpoint{.path = path.starts_with('\0') ? "@" + std::string(path.substr(1))
                                                   : std::string(path.substr(0, path.find('\0')))};
  }
  return std::nullopt;
}

int option_of(const Socket& socket, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(socket.fd(), SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

void set(const Socket& socket, int level, int option, int value) {
  ::setsockopt(socket.fd(), level, option, &value, sizeof value);
}

// What connections inherit from their listener (Linux copies its structure for each): system calls that they are
// spared.
void set_for_connections(const Socket& socket, const ListenOptions& options) {
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  // Without it the kernel takes megabytes for a peer that never reads, ever more slowly (tcp(7), TCP_NOTSENT_LOWAT).
  set(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
      static_cast<int>(std::min<std::size_t>(options.unsent_bytes_max, std::numeric_limits<int>::max())));
}

Error taken(const Endpoint& endpoint) {
  return {ErrorCode::Io,
          fmt::format("port {} on {} is taken by another program; choose another with --port, or 0 for any "
                      "free one",
                      endpoint.port, escape_for_log(endpoint.host, 100))};
}

// One of a name's addresses. @return 0, or errno.
int bind_and_listen(const Socket& socket, const addrinfo& address, const ListenOptions& options) {
  set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.ai_family == AF_INET6) {
    set(socket, IPPROTO_IPV6, IPV6_V6ONLY, options.stack == ListenOptions::Stack::Ipv6Only ? 1 : 0);
  }
  set_for_connections(socket, options);
  const bool listens =
      ::bind(socket.fd(), address.ai_addr, address.ai_addrlen) == 0 && ::listen(socket.fd(), kBacklog) == 0;
  return listens ? 0 : errno;
}

Socket unix_socket() { return Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(path.substr(0, Endpoint::kPathBytesMax), address.sun_path);
  return address;
}

// Whether somebody listens at `path`: then it is his. A full queue is somebody's too.
bool is_alive(const std::string& path) {
  const Socket probe = unix_socket();
  const sockaddr_un address = unix_address(path);
  return ::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno != ECONNREFUSED;
}

// Makes room at `path`: only what is a socket and answers nobody goes.
Result<void> remove_stale(const Endpoint& endpoint) {
  struct stat status{};
  if (::lstat(endpoint.path.c_str(), &status) != 0) {
    return {};  // Nothing is there; bind says what else is wrong.
  }
  if (!S_ISSOCK(status.st_mode)) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("{} exists and is no socket; choose another path, or remove it", shown(endpoint)));
  }
  if (is_alive(endpoint.path)) {
    return fail(ErrorCode::Io, fmt::format("{} is taken: another program listens on it", shown(endpoint)));
  }
  if (::unlink(endpoint.path.c_str()) != 0 && errno != ENOENT) {
    return fail(ErrorCode::Io,
                fmt::format("{} is left over and cannot be removed: {}", shown(endpoint), words_of(errno)));
  }
  return {};
}

}  // namespace

Result<Listener> Listener::open(const Endpoint& endpoint, const ListenOptions& options) {
  return endpoint.is_unix() ? open_unix(endpoint, options.unix_mode) : open_ip(endpoint, options);
}

Result<Listener> Listener::open_ip(const Endpoint& endpoint, const ListenOptions& options) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int unknown = ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (unknown != 0) {
    return fail(ErrorCode::InvalidArgument, fmt::format("host '{}' is not an address of this machine: {}",
                                                        escape_for_log(endpoint.host, 100), gai_strerror(unknown)));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Socket socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error = socket.is_open() ? bind_and_listen(socket, *address, options) : errno;
    if (error == 0) {
      const auto bound = bound_to(socket);
      return Listener(std::move(socket), {.host = endpoint.host, .port = bound ? bound->port : endpoint.port});
    }
    if (error == EADDRINUSE) {
      return std::unexpected(taken(endpoint));
    }
  }
  return fail(ErrorCode::Io, fmt::format("cannot listen on {} port {}: {}", escape_for_log(endpoint.host, 100),
                                         endpoint.port, words_of(error)));
}

Result<Listener> Listener::open_unix(const Endpoint& endpoint, mode_t mode) {
  // Two servers that start at once take turns here: the second finds the first alive.
  const std::string folder = std::filesystem::path(endpoint.path).parent_path().string();
  const Socket lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.is_open() || ::flock(lock.fd(), LOCK_EX) != 0) {
    return fail(ErrorCode::Io, fmt::format("cannot listen on {}: its folder: {}", shown(endpoint), words_of(errno)));
  }
  JAM_TRY_VOID(remove_stale(endpoint));
  Socket socket = unix_socket();
  const sockaddr_un address = unix_address(endpoint.path);
  // Before the file is there: it is never more open than it should be. After: what the process's umask took.
  struct stat status{};
  const bool listens = ::fchmod(socket.fd(), mode) == 0 &&
                       ::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       ::chmod(endpoint.path.c_str(), mode) == 0 && ::listen(socket.fd(), kBacklog) == 0 &&
                       ::lstat(endpoint.path.c_str(), &status) == 0;
  if (!listens) {
    return fail(ErrorCode::Io, fmt::format("cannot listen on {}: {}", shown(endpoint), words_of(errno)));
  }
  Listener listener(std::move(socket), endpoint);
  listener.file_ = File{.device = status.st_dev, .inode = status.st_ino};
  return listener;
}

Result<Listener> Listener::inherit(Socket socket, const ListenOptions& options) {
  const auto bound = bound_to(socket);
  if (!bound || option_of(socket, SO_TYPE) != SOCK_STREAM || option_of(socket, SO_ACCEPTCONN) != 1) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("descriptor {} was handed over by LISTEN_FDS and is no listening stream socket", socket.fd()));
  }
  const int flags = ::fcntl(socket.fd(), F_GETFL);
  ::fcntl(socket.fd(), F_SETFL, flags | O_NONBLOCK);
  ::fcntl(socket.fd(), F_SETFD, FD_CLOEXEC);
  if (!bound->is_unix()) {
    set_for_connections(socket, options);
  }
  Listener listener(std::move(socket), *bound);
  listener.inherited_ = true;
  return listener;
}

Accepted Listener::accept() const {
  sockaddr_in6 peer{};
  socklen_t length = sizeof peer;
  Socket socket(::accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.is_open()) {
    return {PeerAddress(peer), std::move(socket), Accepted::Status::Connection};
  }
  return {{}, Socket(), status_of_accept_error(errno)};
}

Accepted::Status status_of_accept_error(int error) {
  switch (error) {
    case EAGAIN:
    case EINVAL:  // It no longer listens.
      return Accepted::Status::Nothing;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return Accepted::Status::OutOfResources;
    default:
      // ECONNABORTED, EPROTO, EINTR and the network errors that accept(2) passes on: that peer's affair.
      return Accepted::Status::Gone;
  }
}

void Listener::stop_listening() const {
  if (!inherited_) {
    ::shutdown(socket_.fd(), SHUT_RDWR);
  }
}

void Listener::close() {
  struct stat status{};
  if (file_ && ::lstat(endpoint_.path.c_str(), &status) == 0 && status.st_dev == file_->device &&
      status.st_ino == file_->inode) {
    ::unlink(endpoint_.path.c_str());
  }
  file_.reset();
  socket_.close();
}

}  // namespace jamsocket::io
