#include "io/socket.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace jamsocket::io {
namespace {

constexpr std::size_t kPartsPerCall = 64;

IoResult written(ssize_t n) {
  if (n >= 0) {
    return {IoStatus::Done, static_cast<std::size_t>(n)};
  }
  // ENOBUFS and ENOMEM pass: the kernel is short of memory, not the connection broken.
  const bool later = errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM;
  return {later ? IoStatus::WouldBlock : IoStatus::Failed, 0};
}

IoResult received(ssize_t n) {
  if (n > 0) {
    return {IoStatus::Done, static_cast<std::size_t>(n)};
  }
  if (n == 0) {
    return {IoStatus::Closed, 0};
  }
  return {errno == EAGAIN || errno == EINTR ? IoStatus::WouldBlock : IoStatus::Failed, 0};
}

// The two calls that each message waits for go to the kernel directly: in a program with threads, the library's
// functions announce a place where the thread may be cancelled, before and after. Nobody cancels threads here.
ssize_t receive(int fd, std::span<char> into, int flags) {
  return ::syscall(SYS_recvfrom, fd, into.data(), into.size(), flags, nullptr, nullptr);
}
ssize_t send(int fd, std::string_view bytes, int flags) {
  return ::syscall(SYS_sendto, fd, bytes.data(), bytes.size(), flags, nullptr, 0);
}

}  // namespace

std::string errno_message(std::string_view call) {
  return std::string(call) + ": " + std::system_category().message(errno);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.release();
  }
  return *this;
}

int Socket::release() { return std::exchange(fd_, -1); }

void Socket::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

IoResult Socket::read(std::span<char> into) const { return received(receive(fd_, into, MSG_DONTWAIT)); }

IoResult Socket::peek(std::span<char> into) const { return received(receive(fd_, into, MSG_DONTWAIT | MSG_PEEK)); }

IoResult Socket::write(std::string_view bytes) const { return written(send(fd_, bytes, MSG_NOSIGNAL | MSG_DONTWAIT)); }

IoResult Socket::write(std::span<const std::string_view> parts) const {
  std::array<iovec, kPartsPerCall> vector;
  const std::size_t count = std::min(parts.size(), kPartsPerCall);
  for (std::size_t i = 0; i < count; ++i) {
    // sendmsg only reads; its structure is shared with recvmsg and therefore not const.
    vector[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
  }
  msghdr message{};
  message.msg_iov = vector.data();
  message.msg_iovlen = count;
  return written(::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

void Socket::shut_down_writing() const { ::shutdown(fd_, SHUT_WR); }

void Socket::reset_on_close() const {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

IpAddress PeerAddress::ip() const {
  if (address_.sin6_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address_, sizeof v4);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  if (address_.sin6_family == AF_INET6) {
    IpAddress::Bytes bytes{};
    std::memcpy(bytes.data(), &address_.sin6_addr, bytes.size());
    return IpAddress::v6(bytes);
  }
  return {};
}

bool PeerAddress::is_unix() const { return address_.sin6_family == AF_UNIX; }

std::string PeerAddress::text() const { return is_unix() ? "unix" : ip().text(); }

PeerAddress peer_of(const Socket& socket) {
  sockaddr_in6 address{};
  socklen_t length = sizeof address;
  ::getpeername(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length);  // Failed: the address of nobody.
  return PeerAddress(address);
}

}  // namespace jamsocket::io
