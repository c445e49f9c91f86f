#include "io/listener.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

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

class UnixListener : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "jamsocket-listener-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    endpoint_.path = folder_ / "socket";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] int connect_error() const {
    const Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    endpoint_.path.copy(address.sun_path, sizeof address.sun_path - 1);
    return ::connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  }

  std::filesystem::path folder_;
  Endpoint endpoint_;
};

TEST_F(UnixListener, AcceptsAndTakesItsFileAwayAtTheEnd) {
  auto listener = Listener::open(endpoint_, {.unix_mode = 0640});
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  struct stat status{};
  ASSERT_EQ(::lstat(endpoint_.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  EXPECT_EQ(connect_error(), 0);
  wait_readable(listener->socket());
  const Accepted accepted = listener->accept();
  ASSERT_EQ(accepted.status, Accepted::Status::Connection);
  EXPECT_TRUE(accepted.peer.is_unix());
  EXPECT_EQ(accepted.peer.text(), "unix");
  EXPECT_FALSE(accepted.peer.ip().is_known());
  listener->close();
  EXPECT_FALSE(std::filesystem::exists(endpoint_.path));
}

TEST_F(UnixListener, ReplacesWhatIsLeftOverButNothingElse) {
  {
    const auto died = Listener::open(endpoint_);  // Destroyed without `close`, as by SIGKILL: its file stays.
    ASSERT_TRUE(died.has_value());
  }
  EXPECT_EQ(connect_error(), ECONNREFUSED);
  const auto listener = Listener::open(endpoint_);
  ASSERT_TRUE(listener.has_value()) << listener.error().message;
  EXPECT_EQ(connect_error(), 0);

  const auto second = Listener::open(endpoint_);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message.find("is taken"), std::string::npos) << second.error().message;

  const Endpoint file{.path = folder_ / "file"};
  std::ofstream(file.path) << "precious";
  const auto over_file = Listener::open(file);
  ASSERT_FALSE(over_file.has_value());
  EXPECT_NE(over_file.error().message.find("exists and is no socket"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(file.path));
}

TEST_F(UnixListener, LeavesTheFileOfItsSuccessor) {
  auto first = Listener::open(endpoint_);
  ASSERT_TRUE(first.has_value());
  std::filesystem::remove(endpoint_.path);
  const auto second = Listener::open(endpoint_);
  ASSERT_TRUE(second.has_value());
  first->close();
  EXPECT_EQ(connect_error(), 0);
}

TEST_F(UnixListener, NamesAFolderThatIsNotThere) {
  const auto listener = Listener::open(Endpoint{.path = folder_ / "missing" / "socket"});
  ASSERT_FALSE(listener.has_value());
  EXPECT_NE(listener.error().message.find("No such file"), std::string::npos) << listener.error().message;
}

TEST(Listener, TakesASocketThatListensAlreadyAndLeavesItListening) {
  auto made = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(made.has_value());
  const int copy = ::dup(made->socket().fd());
  const auto inherited = Listener::inherit(Socket(copy));
  ASSERT_TRUE(inherited.has_value()) << inherited.error().message;
  EXPECT_EQ(inherited->port(), made->port());
  EXPECT_EQ(inherited->endpoint().host, "127.0.0.1");
  inherited->stop_listening();
  const Socket client = dial(made->port());  // Whoever comes next takes it.
  wait_readable(made->socket());
}

int unsent_bytes_max_of(const Socket& socket) {
  int value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(::getsockopt(socket.fd(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &length), 0);
  return value;
}

// Goal: a peer that never reads costs the kernel little. Method: what is taken of us until the socket says no, beyond
// what that peer's small window takes.
TEST(Listener, TheKernelTakesLittleForAPeerThatDoesNotRead) {
  const auto listener = Listener::open(Endpoint{.host = "127.0.0.1"}, {.unsent_bytes_max = 65'536});
  ASSERT_TRUE(listener.has_value());
  const auto inherited = Listener::inherit(Socket(::dup(listener->socket().fd())), {.unsent_bytes_max = 32'768});
  ASSERT_TRUE(inherited.has_value());
  const Socket client = dial(listener->port());
  wait_readable(listener->socket());
  const Accepted accepted = listener->accept();
  ASSERT_EQ(accepted.status, Accepted::Status::Connection);
  EXPECT_EQ(unsent_bytes_max_of(accepted.socket), 32'768);
  int receive_bytes = 0;
  socklen_t length = sizeof receive_bytes;
  ASSERT_EQ(::getsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, &length), 0);
  const std::string piece(8192, 'x');
  std::size_t taken = 0;
  while (taken < (std::size_t{64} << 20U)) {
    const IoResult result = accepted.socket.write(piece);
    if (result.status != IoStatus::Done) {
      EXPECT_EQ(result.status, IoStatus::WouldBlock);
      break;
    }
    taken += result.bytes;
  }
  // A last buffer of the kernel may go beyond what is unsent.
  EXPECT_LE(taken, static_cast<std::size_t>(receive_bytes) + 32'768U + (std::size_t{128} << 10U));
}

TEST(Listener, TakesNothingElseThatWasHandedOver) {
  EXPECT_FALSE(Listener::inherit(Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))).has_value());
  EXPECT_FALSE(Listener::inherit(Socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))).has_value());
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const Socket other_end(pipe[1]);
  EXPECT_FALSE(Listener::inherit(Socket(pipe[0])).has_value());
}

TEST(Listener, OneSocketServesIpv4AndIpv6UnlessToldOtherwise) {
  const auto both = Listener::open("::", 0);
  if (!both.has_value()) {
    GTEST_SKIP() << "no IPv6 here: " << both.error().message;
  }
  const Socket by_v4 = dial(both->port());
  wait_readable(both->socket());
  EXPECT_EQ(both->accept().peer.text(), "127.0.0.1");
  // Beside an IPv4 listener of the same port there is room for one of IPv6 only.
  const auto v4 = Listener::open("127.0.0.1", 0);
  ASSERT_TRUE(v4.has_value());
  const auto v6 = Listener::open(Endpoint{.host = "::", .port = v4->port()}, {.stack = ListenOptions::Stack::Ipv6Only});
  EXPECT_TRUE(v6.has_value()) << v6.error().message;
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
