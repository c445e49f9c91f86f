#include "io/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/log.hpp"

namespace jamsocket::io {
namespace {

constexpr int kBacklog = 4096;

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::uint16_t bound_port(const Socket& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return 0;
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  return ntohs(v4.sin_port);
}

}  // namespace

Result<Listener> Listener::open(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::InvalidArgument, fmt::format("host '{}' is not an address of this machine: {}",
                                                        escape_for_log(host, 100), gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) {
    return fail(ErrorCode::Io, errno_message("socket"));
  }
  const int one = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // Connections inherit it: a system call less for each.
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::bind(socket.fd(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(socket.fd(), kBacklog) != 0) {
    if (errno == EADDRINUSE) {
      return fail(ErrorCode::Io, fmt::format("port {} on {} is taken by another program; choose another with --port, "
                                             "or 0 for any free one",
                                             port, host));
    }
    return fail(ErrorCode::Io, fmt::format("cannot listen on {} port {}: {}", host, port, std::strerror(errno)));
  }
  const std::uint16_t real_port = bound_port(socket);
  return Listener(std::move(socket), real_port);
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

void Listener::stop_listening() const { ::shutdown(socket_.fd(), SHUT_RDWR); }

}  // namespace jamsocket::io
