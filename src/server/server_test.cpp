#include "server/server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "server/testing.hpp"
#include "service/native.hpp"

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
    TestClient client(server_->port());
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
  TestClient alice(server_->port());
  TestClient bob(server_->port());
  alice.upgrade("/ws/1");
  EXPECT_NE(alice.read_until("\r\n\r\n").find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
  bob.upgrade("/ws/1");
  (void)bob.read_until("\r\n\r\n");
  alice.send(TestClient::text("increment"));
  const std::string expected = "\x81\x0cnew value: 1";
  EXPECT_TRUE(alice.read_until(expected).ends_with(expected));
  EXPECT_TRUE(bob.read_until(expected).ends_with(expected));
}

TEST_P(ServerTest, DeliversWhatCameWithTheUpgrade) {
  start();
  TestClient alice(server_->port());
  alice.send(
      "GET /ws/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" +
      TestClient::text("increment"));
  EXPECT_NE(alice.read_until("new value: 1").find("new value: 1"), std::string::npos);
}

TEST_P(ServerTest, ARefusalIsA403InsteadOfAnUpgrade) {
  start();
  TestClient alice(server_->port());
  alice.upgrade("/ws/1?refuse");
  const std::string answer = alice.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << answer;
  EXPECT_TRUE(answer.ends_with("not today")) << answer;
}

TEST_P(ServerTest, AFailedRoomClosesItsClientsAndTheNextJoinStartsAfresh) {
  start();
  TestClient alice(server_->port());
  alice.upgrade("/ws/1");
  alice.send(TestClient::text("increment") + TestClient::text("throw"));
  EXPECT_NE(alice.read_until("\x03\xf3the room failed").find("\x88\x11\x03\xf3the room failed"), std::string::npos);
  TestClient bob(server_->port());
  bob.upgrade("/ws/1");
  bob.send(TestClient::text("increment"));
  EXPECT_NE(bob.read_until("new value: 1").find("new value: 1"), std::string::npos);
}

TEST_P(ServerTest, MakesRoomsByTheirStrategy) {
  start({.room_strategy = "api"});
  EXPECT_TRUE(ask("POST /new_room").starts_with("HTTP/1.1 400 "));
  TestClient early(server_->port());
  early.upgrade("/ws/a");
  EXPECT_TRUE(early.read_to_end().starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask("POST /ws/a").ends_with("\r\n\r\na"));
  EXPECT_TRUE(ask("POST /ws/a").starts_with("HTTP/1.1 409 "));
  TestClient alice(server_->port());
  alice.upgrade("/ws/a");
  EXPECT_TRUE(alice.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
}

TEST_P(ServerTest, StopsWithACloseFrameToEveryClient) {
  start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<TestClient>(server_->port()));
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
