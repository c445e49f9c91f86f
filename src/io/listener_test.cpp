#include "io/listener.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace jamsocket::io {
namespace {

Socket dial(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

void wait_readable(const Socket& socket) {
  pollfd entry{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&entry, 1, 5000), 1);
}

TEST(Listener, TakesAnyPortAndSaysWhich) {
  const auto listener = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  EXPECT_NE(listener->port(), 0);
  EXPECT_EQ(listener->accept().status, Accepted::Status::Nothing);
  const Socket client = dial(listener->port());
  wait_readable(listener->socket());
  const Accepted accepted = listener->accept();
  ASSERT_EQ(accepted.status, Accepted::Status::Connection);
  EXPECT_EQ(accepted.peer.text(), "127.0.0.1");
}

TEST(Listener, SaysPlainlyThatAPortIsTaken) {
  const auto first = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(first.has_value());
  const auto second = Listener::open("127.0.0.1", first->port());
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message.find("is taken by another program"), std::string::npos) << second.error().message;
}

TEST(Listener, RefusesConnectionsOnceItStops) {
  const auto listener = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(listener.has_value());
  const Socket queued = dial(listener->port());
  listener->stop_listening();
  EXPECT_EQ(listener->accept().status, Accepted::Status::Nothing);
  const Socket late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(listener->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(::connect(late.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(errno, ECONNREFUSED);
}

// A peer's misfortune must not make the loop rest, and a shortage must not make it spin.
TEST(Listener, TellsAPeersErrorsFromAShortage) {
  for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    EXPECT_EQ(status_of_accept_error(error), Accepted::Status::OutOfResources) << error;
  }
  for (const int error : {ECONNABORTED, EPROTO, EINTR, ENETDOWN, EHOSTUNREACH, EPERM}) {
    EXPECT_EQ(status_of_accept_error(error), Accepted::Status::Gone) << error;
  }
  for (const int error : {EAGAIN, EINVAL}) {
    EXPECT_EQ(status_of_accept_error(error), Accepted::Status::Nothing) << error;
  }
}

TEST(Listener, RefusesAHostThatIsNotOne) {
  const auto listener = Listener::open("not an address", 0);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code, ErrorCode::InvalidArgument);
}

TEST(Socket, WritesPartsInOrder) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  const Socket one(fds[0]);
  const Socket two(fds[1]);
  const std::array<std::string_view, 3> parts{"a", "", "bc"};
  EXPECT_EQ(one.write(parts).bytes, 3U);
  std::array<char, 8> buffer{};
  const IoResult got = two.read(buffer);
  EXPECT_EQ(std::string_view(buffer.data(), got.bytes), "abc");
  EXPECT_EQ(two.read(buffer).status, IoStatus::WouldBlock);
  one.shut_down_writing();
  EXPECT_EQ(two.read(buffer).status, IoStatus::Closed);
}

}  // namespace
}  // namespace jamsocket::io
