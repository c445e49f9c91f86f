#include "server/server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "server/testing.hpp"
#include "service/native.hpp"
#include "ws/deflate.hpp"

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
    if (text.size() > 100) {
      return context.send_message(broadcast, text);
    }
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
    auto made =
        Server::create(options, service::make_native_service("counter", detail::native_service_factory<Counter>()),
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

TEST_P(ServerTest, AnswersWhatCameBeforeAnErrorOrACloseInTheSameRead) {
  start();
  TestClient alice(server_->port());
  alice.upgrade("/ws/1");
  (void)alice.read_until("\r\n\r\n");
  alice.send(TestClient::text("increment") + std::string("\x83\x80\0\0\0\0", 6));
  const std::string after_error = alice.read_to_end();
  EXPECT_NE(after_error.find("new value: 1\x88"), std::string::npos) << after_error;
  EXPECT_NE(after_error.find("\x03\xea"), std::string::npos) << "1002";
  TestClient bob(server_->port());
  bob.upgrade("/ws/1");
  (void)bob.read_until("\r\n\r\n");
  bob.send(TestClient::text("increment") + std::string("\x88\x82\0\0\0\0\x03\xe8", 8));
  EXPECT_TRUE(bob.read_to_end().ends_with("new value: 2\x88\x02\x03\xe8"));
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

TEST_P(ServerTest, SendsAClientPackagesVisitorIntoItsFolder) {
  start({.client_dir = testing::TempDir()});
  const std::string answer = ask("GET /client?a=b");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 308 ")) << answer;
  EXPECT_NE(answer.find("Location: /client/?a=b\r\n"), std::string::npos) << answer;
}

TEST_P(ServerTest, AcceptsTheFirstSubprotocolThatItSpeaks) {
  start({.subprotocols = {"chat.v1", "chat.v2"}});
  TestClient alice(server_->port());
  alice.upgrade("/ws/1", "Sec-WebSocket-Protocol: other, chat.v2, chat.v1\r\n");
  EXPECT_NE(alice.read_until("\r\n\r\n").find("Sec-WebSocket-Protocol: chat.v2\r\n"), std::string::npos);
  TestClient bob(server_->port());
  bob.upgrade("/ws/1", "Sec-WebSocket-Protocol: other\r\n");
  EXPECT_EQ(bob.read_until("\r\n\r\n").find("Sec-WebSocket-Protocol"), std::string::npos);
}

// Goal: each client gets a broadcast in the form it agreed to, and what it sends compressed arrives.
// Method: one plain client, one for each kind of agreement; a long text, there and back.
TEST_P(ServerTest, CompressesForThoseThatAgreed) {
  start({.compression = "context"});
  const std::string text(2000, 'a');
  TestClient plain(server_->port());
  plain.upgrade("/ws/echo");
  EXPECT_EQ(plain.read_until("\r\n\r\n").find("permessage-deflate"), std::string::npos);
  std::vector<std::unique_ptr<TestClient>> deflating;
  for (const char* offer : {"permessage-deflate", "permessage-deflate; server_no_context_takeover",
                            "permessage-deflate; server_max_window_bits=10; server_no_context_takeover"}) {
    deflating.push_back(std::make_unique<TestClient>(server_->port()));
    deflating.back()->upgrade("/ws/echo", std::string("Sec-WebSocket-Extensions: ") + offer + "\r\n");
    EXPECT_NE(deflating.back()->read_until("\r\n\r\n").find("permessage-deflate"), std::string::npos) << offer;
  }
  ws::Deflater deflater;
  const auto compressed = deflater.deflate(text, {});
  ASSERT_TRUE(compressed.has_value());
  std::string frame{static_cast<char>(0xC1), static_cast<char>(0x80 | compressed->size()), 0, 0, 0, 0};
  frame += *compressed;
  deflating[1]->send(frame);
  EXPECT_NE(plain.read_until(text).find("\x81\x7e\x07\xd0" + text), std::string::npos);
  for (const auto& client : deflating) {
    ws::Inflater inflater;
    (void)client->read_until("\xC1");
    const std::string all = client->read_until_frame_end();
    const std::size_t at = all.find("\r\n\r\n") + 4;
    ASSERT_EQ(static_cast<unsigned char>(all[at]), 0xC1U) << "a compressed text frame";
    const auto inflated = inflater.inflate(std::string_view(all).substr(at + 2), 10'000, {});
    ASSERT_TRUE(inflated.has_value());
    EXPECT_EQ(*inflated, text);
  }
}

class Stopper {
 public:
  static inline Server* server = nullptr;
  Stopper(std::string_view, Context&) {}
  void message(ClientId client, std::string_view, Context& context) {
    context.send_message(client, "as you wish");
    server->stop();
  }
};

TEST_P(ServerTest, IsStoppedByAServiceOfItsOwn) {
  auto made = Server::create({.port = 0, .shards = GetParam()},
                             service::make_native_service("stopper", detail::native_service_factory<Stopper>()),
                             {.logger = log_, .clock = clock_});
  ASSERT_TRUE(made.has_value()) << made.error().message;
  server_ = std::move(*made);
  ASSERT_TRUE(server_->start().has_value());
  Stopper::server = server_.get();
  TestClient alice(server_->port());
  alice.upgrade("/ws/1");
  (void)alice.read_until("\r\n\r\n");
  alice.send(TestClient::text("stop"));
  EXPECT_NE(alice.read_until("\x03\xf4").find("as you wish"), std::string::npos) << "1012, behind what it was told";
  alice.send(std::string("\x88\x82\0\0\0\0\x03\xf4", 8));
  server_->stop();  // Waits for what the service began.
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
