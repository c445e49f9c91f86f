#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/server.hpp"
#include "server/testing.hpp"
#include "service/native.hpp"

namespace jamsocket::server {
namespace {

using nlohmann::json;

struct Echo {
  Echo(std::string_view, Context&) {}
  void message(ClientId, std::string_view text, Context& context) { context.send_message(broadcast, text); }
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

class AdminTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  void start(ServerOptions options = {}) {
    options.port = 0;
    options.admin_port = "0";
    options.shards = GetParam();
    auto made = Server::create(options, service::make_native_service("echo", detail::native_service_factory<Echo>()),
                               {.logger = log_, .clock = clock_, .maker = maker_});
    ASSERT_TRUE(made.has_value()) << made.error().message;
    server_ = std::move(*made);
    const auto started = server_->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    ASSERT_NE(server_->admin_port(), 0);
    ASSERT_NE(server_->admin_port(), server_->port());
  }
  Answer ask_raw(const std::string& request) const {
    TestClient client(server_->admin_port());
    client.send(request);
    const std::string all = client.read_to_end();
    const std::size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos) {
      return {};
    }
    return {.status = std::stoi(all.substr(9, 3)), .head = all.substr(0, end), .body = all.substr(end + 4)};
  }
  Answer ask(const std::string& line, const std::string& headers = {}, const std::string& body = {}) const {
    return ask_raw(line + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" +
                   (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + headers + "\r\n" +
                   body);
  }
  // A client in `room`; in it for sure when this returns.
  std::unique_ptr<TestClient> client_in(const std::string& room) const {
    auto client = std::make_unique<TestClient>(server_->port());
    client->upgrade("/ws/" + room);
    client->send(TestClient::text("hello"));
    client->read_until("hello");
    return client;
  }

  NullLogger log_;
  ServiceMaker* maker_ = nullptr;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_P(AdminTest, SaysThatItIsWellOnItsOwnPortOnly) {
  start();
  const Answer health = ask("GET /health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(json::parse(health.body), json({{"status", "ok"}}));
  TestClient client(server_->port());
  client.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_to_end().substr(9, 3), "404");
}

TEST_P(AdminTest, AnswersHeadAsGetWithoutTheBody) {
  start();
  const Answer health = ask("HEAD /health");
  EXPECT_EQ(health.status, 200);
  EXPECT_NE(health.head.find("\r\nContent-Length: 16"), std::string::npos) << health.head;
  EXPECT_EQ(health.body, "");
  EXPECT_EQ(ask("HEAD /admin/rooms/nobody").status, 404);
  EXPECT_EQ(ask("HEAD /admin/drain").status, 405);
}

TEST_P(AdminTest, CountsWhatHappens) {
  start();
  const auto client = client_in("a");
  const Answer metrics = ask("GET /metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_NE(metrics.head.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(metrics.body.find("\njamsocket_messages_in_total 1\n"), std::string::npos) << metrics.body;
  EXPECT_NE(metrics.body.find("\njamsocket_clients_joined_total 1\n"), std::string::npos);
}

// What could not be decoded, or was mistyped, counted as not there: the room of another service was ended.
TEST_P(AdminTest, PassesNothingOverInAQuery) {
  start();
  const auto client = client_in("a");
  for (const char* query :
       {"service=%zz", "service=%ff", "service=%00", "service=%0a", "sevice=x", "Service=x",
        "service=x&service=", "code=", "code=%3", "code=1000&reason=%c3", "to=5", "reason=a%7f", "x"}) {
    const Answer refused = ask(std::string("DELETE /admin/rooms/a?") + query);
    EXPECT_EQ(refused.status, 400) << query << ": " << refused.body;
    EXPECT_TRUE(json::parse(refused.body).contains("error")) << query;
  }
  EXPECT_EQ(ask("GET /admin/rooms/a?service=").status, 200);  // That of the service without a name.
  EXPECT_EQ(ask("DELETE /admin/rooms/b?service=" + std::string(1025, 'x')).status, 400);
  EXPECT_EQ(ask("DELETE /admin/rooms/b?service=" + std::string(1024, 'x')).status, 404);
  EXPECT_EQ(ask("DELETE /admin/rooms/b?reason=a/b%20%c3%a4&&code=4000&").status, 404);
  EXPECT_EQ(ask("GET /admin/rooms?limit=").status, 400);
  EXPECT_EQ(ask("POST /admin/drain?now=yes").status, 400);
  EXPECT_EQ(ask("GET /metrics?collect[]=cpu").status, 200);
  EXPECT_EQ(ask("GET /health?verbose").status, 200);
}

TEST_P(AdminTest, ListsRoomsAndClients) {
  start();
  const auto one = client_in("a");
  const auto two = client_in("a");
  const auto three = client_in("b%20c");
  const json all = json::parse(ask("GET /admin/rooms").body);
  EXPECT_EQ(all["rooms_total"], 2);
  EXPECT_EQ(all["rooms"].size(), 2U);
  const json some = json::parse(ask("GET /admin/rooms?prefix=b&limit=5").body);
  ASSERT_EQ(some["rooms"].size(), 1U);
  EXPECT_EQ(some["rooms"][0]["id"], "b c");
  EXPECT_EQ(some["rooms"][0]["clients"], 1);
  const json room = json::parse(ask("GET /admin/rooms/a").body);
  EXPECT_EQ(room["client_count"], 2);
  ASSERT_EQ(room["clients"].size(), 2U);
  EXPECT_EQ(room["clients"][1]["id"], 2);
  EXPECT_EQ(room["clients"][1]["remote_address"], "127.0.0.1");
  EXPECT_EQ(ask("GET /admin/rooms/nobody").status, 404);
  EXPECT_EQ(ask("GET /admin/rooms?limit=0").status, 400);
}

TEST_P(AdminTest, ClosesAClientAndARoom) {
  start();
  const auto one = client_in("a");
  const auto two = client_in("a");
  EXPECT_EQ(ask("DELETE /admin/rooms/a/clients/1?code=4001&reason=be%20nice").status, 200);
  EXPECT_NE(one->read_until("be nice").find("\x0f\xa1"
                                            "be nice"),
            std::string::npos);
  EXPECT_EQ(ask("DELETE /admin/rooms/a/clients/1").status, 404);
  EXPECT_EQ(json::parse(ask("GET /admin/rooms/a").body)["client_count"], 1);
  EXPECT_EQ(ask("DELETE /admin/rooms/a?reason=bye").status, 200);
  EXPECT_NE(two->read_until("bye").find("\x03\xe9"
                                        "bye"),
            std::string::npos);
  while (ask("GET /admin/rooms/a").status == 200) {
  }
  EXPECT_EQ(ask("DELETE /admin/rooms/a").status, 404);
}

TEST_P(AdminTest, RefusesCodesAndReasonsThatMayNotBeSent) {
  start();
  const auto one = client_in("a");
  for (const char* query : {"code=1005", "code=999", "code=5000", "code=x", "code=1006"}) {
    EXPECT_EQ(ask(std::string("DELETE /admin/rooms/a?") + query).status, 400) << query;
  }
  EXPECT_EQ(ask("DELETE /admin/rooms/a?reason=" + std::string(124, 'x')).status, 400);
  EXPECT_EQ(ask("DELETE /admin/rooms/a/clients/x").status, 400);
}

TEST_P(AdminTest, RefusesWhatAPageInABrowserCouldSend) {
  start();
  EXPECT_EQ(ask("POST /admin/drain", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(ask_raw("GET /admin/rooms HTTP/1.1\r\nHost: evil.example:9090\r\nConnection: close\r\n\r\n").status, 403);
  EXPECT_EQ(ask_raw("GET /health HTTP/1.1\r\nHost: localhost:9090\r\nConnection: close\r\n\r\n").status, 200);
  EXPECT_EQ(ask_raw("GET /health HTTP/1.1\r\nHost: [::1]:9090\r\nConnection: close\r\n\r\n").status, 200);
}

TEST_P(AdminTest, AsksForItsTokenEverywhereButForHealth) {
  const std::string path = testing::TempDir() + "/admin_token_" + std::to_string(GetParam());
  std::ofstream(path) << "0123456789abcdef\nignored\n";
  start({.admin_token_file = path});
  std::remove(path.c_str());
  EXPECT_EQ(ask("GET /health").status, 200);
  EXPECT_EQ(ask("GET /metrics").status, 401);
  EXPECT_EQ(ask("GET /metrics", "Authorization: Bearer 0123456789abcdeX\r\n").status, 401);
  EXPECT_EQ(ask("GET /metrics", "Authorization: Bearer 0123456789abcdef0\r\n").status, 401);
  EXPECT_EQ(ask("GET /metrics", "Authorization: Basic 0123456789abcdef0\r\n").status, 401);
  EXPECT_EQ(ask("GET /metrics", "authorization: bearer 0123456789abcdef\r\n").status, 200);
}

TEST_P(AdminTest, NamesWhatIsAllowed) {
  start();
  const Answer wrong_method = ask("POST /admin/rooms/a");
  EXPECT_EQ(wrong_method.status, 405);
  EXPECT_NE(wrong_method.head.find("\r\nAllow: GET, HEAD, DELETE\r\n"), std::string::npos) << wrong_method.head;
  EXPECT_EQ(ask("GET /admin/nothing").status, 404);
  EXPECT_EQ(ask("PUT /admin/log-level", {}, R"({"level":"loud"})").status, 400);
  EXPECT_EQ(ask("PUT /admin/log-level", {}, R"([1)").status, 400);
  EXPECT_EQ(ask("PUT /admin/log-level", {}, R"({"level":"debug"})").status, 200);
}

// Makes echoes of any body but "bad".
class EchoMaker final : public ServiceMaker {
 public:
  Result<OfferedService> make(const std::string& name, std::string_view wanted) override {
    if (wanted == "bad") {
      return fail(ErrorCode::Malformed, "the module is not valid");
    }
    return OfferedService{
        .name = name,
        .service = service::make_native_service(std::string(wanted), detail::native_service_factory<Echo>())};
  }
};

TEST_P(AdminTest, AddsReplacesAndRemovesServices) {
  EchoMaker maker;
  maker_ = &maker;
  start();
  EXPECT_EQ(ask("GET /admin/services").body, R"({"services":[{"name":"","rooms":0,"service":"echo"}]})"
                                             "\n");
  EXPECT_EQ(ask("PUT /admin/services/chat", {}, "first").status, 404);
  EXPECT_EQ(ask("POST /admin/services/chat", {}, "first").body, "{\"serving\":true}\n");
  EXPECT_EQ(ask("POST /admin/services/chat", {}, "again").status, 409);
  const Answer bad = ask("POST /admin/services/other", {}, "bad");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.body, "{\"error\":\"the module is not valid\"}\n");
  EXPECT_EQ(ask("POST /admin/services/Other", {}, "x").status, 400) << "the name";
  const auto client = client_in("chat/a");
  EXPECT_EQ(ask("GET /admin/rooms/a").status, 404);
  EXPECT_NE(ask("GET /admin/rooms/a?service=chat").body.find(R"("service":"chat")"), std::string::npos);
  EXPECT_EQ(ask("PUT /admin/services/chat", {}, "second").status, 200);
  EXPECT_NE(ask("GET /admin/services").body.find(R"({"name":"chat","rooms":1,"service":"second"})"), std::string::npos);
  EXPECT_EQ(ask("DELETE /admin/services/chat").body, "{\"removed\":true}\n");
  EXPECT_NE(client->read_until("\x03\xf4").find("\x03\xf4"), std::string::npos);
  EXPECT_EQ(ask("DELETE /admin/services/chat").status, 404);
}

TEST_P(AdminTest, AServerWithoutAMakerSaysSo) {
  start();
  const Answer answer = ask("POST /admin/services/chat", {}, "first");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("does not load modules"), std::string::npos);
}

TEST_P(AdminTest, DrainsWhenAsked) {
  start();
  const auto client = client_in("a");
  EXPECT_EQ(ask("POST /admin/drain").status, 202);
  EXPECT_NE(client->read_until("the server is stopping").find("\x03\xf4"), std::string::npos);
  EXPECT_EQ(ask("GET /health").status, 503);
  server_->stop();
}

TEST(AdminSettings, AreForThisMachineOrWithAToken) {
  NullLogger log;
  const SystemClock clock;
  const auto create = [&](const ServerOptions& options) {
    return Server::create(options, service::make_native_service("echo", detail::native_service_factory<Echo>()),
                          {.logger = log, .clock = clock});
  };
  EXPECT_TRUE(create({.admin_host = "::1", .admin_port = "0"}).has_value());
  EXPECT_TRUE(create({.admin_host = "0.0.0.0", .admin_port = "off"}).has_value());
  EXPECT_TRUE(create({.admin_host = "0.0.0.0", .admin_port = "0", .admin_token_file = "x"}).has_value());
  const auto open = create({.admin_host = "0.0.0.0", .admin_port = "0"});
  ASSERT_FALSE(open.has_value());
  EXPECT_NE(open.error().message.find("admin_token_file"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(OneAndThreeShards, AdminTest, testing::Values(1U, 3U));

}  // namespace
}  // namespace jamsocket::server
