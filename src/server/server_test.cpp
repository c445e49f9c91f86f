#include "server/server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "io/socket.hpp"
#include "service/native.hpp"
#include "ws/frame.hpp"

namespace jamsocket::server {
namespace {

class Counter {
 public:
  Counter(std::string_view, Context&) {}
  void connect(ClientId, const ClientInfo& info, Context& context) {
    if (info.query() == "refuse") {
      context.refuse("not today");
    }
  }
  void message(ClientId, std::string_view text, Context& context) {
    if (text == "throw") {
      throw std::runtime_error("as asked");
    }
    context.send_message(broadcast, "new value: " + std::to_string(++value_));
  }

 private:
  int value_ = 0;
};

// A blocking client that speaks bytes.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Reads until `text` has come, or the end, or the patience is over.
  std::string read_until(std::string_view text) {
    while (received_.find(text) == std::string::npos) {
      std::array<char, 4096> buffer;
      const ssize_t n = ::recv(socket_.fd(), buffer.data(), buffer.size(), 0);
      if (n <= 0) {
        break;
      }
      received_.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return received_;
  }
  std::string read_to_end() { return read_until(std::string("\0never\0", 7)); }
  void upgrade(const std::string& target) {
    send("GET " + target +
         " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  }
  // A masked text frame, with a mask of zeros.
  static std::string text(std::string_view payload) {
    return std::string{static_cast<char>(0x81), static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0} +
           std::string(payload);
  }

 private:
  io::Socket socket_;
  std::string received_;
};

class ServerTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  void start(ServerOptions options = {}) {
    options.port = 0;
    options.shards = GetParam();
    auto made = Server::create(options, service::make_native_service("counter", detail::native_service_factory<Counter>()),
                               {.logger = log_, .clock = clock_});
    ASSERT_TRUE(made.has_value()) << made.error().message;
    server_ = std::move(*made);
    const auto started = server_->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    ASSERT_NE(server_->port(), 0);
  }
  std::string ask(const std::string& request_line) {
    Client client(server_->port());
    client.send(request_line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.read_to_end();
  }

  NullLogger log_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_P(ServerTest, AnswersStatus) {
  start();
  const std::string answer = ask("GET /status");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nok")) << answer;
}

TEST_P(ServerTest, SharesACounterInARoom) {
  start();
  Client alice(server_->port());
  Client bob(server_->port());
  alice.upgrade("/ws/1");
  EXPECT_NE(alice.read_until("\r\n\r\n").find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
  bob.upgrade("/ws/1");
  (void)bob.read_until("\r\n\r\n");
  alice.send(Client::text("increment"));
  const std::string expected = "\x81\x0cnew value: 1";
  EXPECT_TRUE(alice.read_until(expected).ends_with(expected));
  EXPECT_TRUE(bob.read_until(expected).ends_with(expected));
}

TEST_P(ServerTest, DeliversWhatCameWithTheUpgrade) {
  start();
  Client alice(server_->port());
  alice.send(
      "GET /ws/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" +
      Client::text("increment"));
  EXPECT_NE(alice.read_until("new value: 1").find("new value: 1"), std::string::npos);
}

TEST_P(ServerTest, ARefusalIsA403InsteadOfAnUpgrade) {
  start();
  Client alice(server_->port());
  alice.upgrade("/ws/1?refuse");
  const std::string answer = alice.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << answer;
  EXPECT_TRUE(answer.ends_with("not today")) << answer;
}

TEST_P(ServerTest, AFailedRoomClosesItsClientsAndTheNextJoinStartsAfresh) {
  start();
  Client alice(server_->port());
  alice.upgrade("/ws/1");
  alice.send(Client::text("increment") + Client::text("throw"));
  EXPECT_NE(alice.read_until("\x03\xf3the room failed").find("\x88\x11\x03\xf3the room failed"), std::string::npos);
  Client bob(server_->port());
  bob.upgrade("/ws/1");
  bob.send(Client::text("increment"));
  EXPECT_NE(bob.read_until("new value: 1").find("new value: 1"), std::string::npos);
}

TEST_P(ServerTest, MakesRoomsByTheirStrategy) {
  start({.room_strategy = "api"});
  EXPECT_TRUE(ask("POST /new_room").starts_with("HTTP/1.1 400 "));
  Client early(server_->port());
  early.upgrade("/ws/a");
  EXPECT_TRUE(early.read_to_end().starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask("POST /ws/a").ends_with("\r\n\r\na"));
  EXPECT_TRUE(ask("POST /ws/a").starts_with("HTTP/1.1 409 "));
  Client alice(server_->port());
  alice.upgrade("/ws/a");
  EXPECT_TRUE(alice.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

TEST_P(ServerTest, StopsWithACloseFrameToEveryClient) {
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->upgrade("/ws/" + std::to_string(i % 7));
    (void)clients.back()->read_until("\r\n\r\n");
  }
  std::thread stopping([this] { server_->stop(); });
  for (const auto& client : clients) {
    const std::string closing = "\x03\xf4the server is stopping";
    EXPECT_NE(client->read_until(closing).find(closing), std::string::npos);
    client->send(std::string("\x88\x82\0\0\0\0\x03\xf4", 8));
  }
  stopping.join();
}

TEST_P(ServerTest, RefusesOptionsThatCannotBe) {
  const auto made = Server::create({.room_strategy = "short2"},
                                   service::make_native_service("counter", detail::native_service_factory<Counter>()),
                                   {.logger = log_, .clock = clock_});
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::InvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Shards, ServerTest, testing::Values(1U, 3U));

}  // namespace
}  // namespace jamsocket::server
