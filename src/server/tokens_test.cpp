// Tokens in a whole server whose clock the test moves: edges that no real clock would hit.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "auth/token.hpp"
#include "server/server.hpp"
#include "server/testing.hpp"
#include "service/native.hpp"

namespace jamsocket::server {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNow = 1'700'000'000;  // Seconds; where the clock begins.

class Greeter {
 public:
  Greeter(std::string_view, Context&) {}
  void connect(ClientId client, const ClientInfo& info, Context& context) {
    context.send_message(client, "hi " + std::string(info.subject()));
  }
};

class TokensTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  TokensTest() {
    std::string name = std::filesystem::temp_directory_path() / "jamsocket-tokens-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    std::ofstream(folder_ / "k.jwk") << key_.to_jwk(auth::Key::Half::Public);
  }
  ~TokensTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  void start(ServerOptions options = {}) {
    options.port = 0;
    options.shards = GetParam();
    options.tokens.mode = "required";
    options.tokens.keys = folder_;
    options.heartbeat_interval = 1h;
    options.heartbeat_timeout = 2h;
    auto made =
        Server::create(options, service::make_native_service("greeter", detail::native_service_factory<Greeter>()),
                       {.logger = log_, .clock = clock_});
    ASSERT_TRUE(made.has_value()) << made.error().message;
    server_ = std::move(*made);
    const auto started = server_->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }
  std::string bearer(std::int64_t exp) const {
    return "Authorization: Bearer " +
           auth::make_token(key_, R"({"sub":"alice","exp":)" + std::to_string(exp) + "}").value() + "\r\n";
  }
  void advance(Milliseconds by) {
    clock_.advance(by);
    server_->clock_moved();
  }
  static std::string closed_with(std::uint16_t code) {
    return {static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
  }

  const auth::Key key_ = auth::Key::generate(auth::Algorithm::EdDSA, "k");
  std::filesystem::path folder_;
  NullLogger log_;
  ManualClock clock_{kNow * 1000};
  std::unique_ptr<Server> server_;
};

TEST_P(TokensTest, AClientGoesToTheMillisecondAtWhichItsTokenDoes) {
  start();
  TestClient client(server_->port());
  client.upgrade("/ws/a", bearer(kNow + 10));
  EXPECT_TRUE(client.read_until("hi alice").ends_with("hi alice"));
  advance(10s + 3s - 1ms);  // With the leeway.
  TestClient still(server_->port());
  still.upgrade("/ws/a", bearer(kNow + 10));
  EXPECT_TRUE(still.read_until("hi alice").ends_with("hi alice")) << "a token counts as long as a connection does";
  advance(1ms);
  EXPECT_TRUE(client.read_until("the token has expired").contains(closed_with(4401)));
  EXPECT_TRUE(still.read_until("the token has expired").contains(closed_with(4401)));
  TestClient late(server_->port());
  late.upgrade("/ws/a", bearer(kNow + 10));
  EXPECT_TRUE(late.read_until("expired").starts_with("HTTP/1.1 401 "));
}

TEST_P(TokensTest, AFarExpiryNeverComes) {
  start();
  TestClient client(server_->port());
  client.upgrade("/ws/a", bearer(253'402'300'799));
  EXPECT_TRUE(client.read_until("hi alice").ends_with("hi alice"));
  advance(Milliseconds{90min});
  EXPECT_TRUE(client.read_until("hi alice").ends_with("hi alice")) << "nothing more was said";
}

TEST_P(TokensTest, ATicketCountsForItsTimeAndNotLonger) {
  ServerOptions options;
  options.tokens.ticket_lifetime = 5s;
  start(options);
  const auto ticket = [&] {
    TestClient client(server_->port());
    client.send("POST /ticket/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + bearer(kNow + 3600) + "\r\n");
    const std::string answer = client.read_to_end();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  const std::string first = ticket();
  const std::string second = ticket();
  advance(5s - 1ms);
  TestClient client(server_->port());
  client.upgrade("/ws/a?ticket=" + first);
  EXPECT_TRUE(client.read_until("hi alice").ends_with("hi alice"));
  advance(1ms);
  TestClient late(server_->port());
  late.upgrade("/ws/a?ticket=" + second);
  EXPECT_TRUE(late.read_until("ticket").starts_with("HTTP/1.1 401 "));
}

TEST_P(TokensTest, AServerWithoutUsableKeysDoesNotBegin) {
  ServerOptions options;
  options.tokens.mode = "required";
  const auto refusal = [&] {
    const auto made =
        Server::create(options, service::make_native_service("greeter", detail::native_service_factory<Greeter>()),
                       {.logger = log_, .clock = clock_});
    return made ? "made" : made.error().message;
  };
  EXPECT_TRUE(refusal().contains("no keys")) << refusal();
  options.tokens.keys = folder_ / "missing.jwk";
  EXPECT_TRUE(refusal().contains("missing.jwk")) << refusal();
  options.tokens.keys = folder_;
  EXPECT_EQ(refusal(), "made");
  options.tokens.mode = "perhaps";
  EXPECT_TRUE(refusal().contains("perhaps")) << refusal();
  options.tokens.mode = "off";
  options.returning.twice = "thrice";
  EXPECT_TRUE(refusal().contains("thrice")) << refusal();
}

INSTANTIATE_TEST_SUITE_P(Shards, TokensTest, testing::Values(1U, 3U));

}  // namespace
}  // namespace jamsocket::server
