#include "server/services.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/server.hpp"
#include "server/testing.hpp"
#include "service/native.hpp"

namespace jamsocket::server {
namespace {

TEST(ServiceName, IsShortAndPlain) {
  for (const char* name : {"a", "0", "chat", "chat-2", "a_b", "x-"}) {
    EXPECT_TRUE(check_service_name(name).has_value()) << name;
  }
  for (const std::string& name : {std::string(), std::string("Chat"), std::string("-a"), std::string("_a"),
                                  std::string("a/b"), std::string("a.b"), std::string("caf\u00e9"), std::string("a b"),
                                  std::string(64, 'a'), std::string("a\0", 2)}) {
    EXPECT_FALSE(check_service_name(name).has_value()) << name;
  }
  EXPECT_TRUE(check_service_name(std::string(63, 'a')).has_value());
}

TEST(ServiceTable, KnowsNamedFromUnnamed) {
  const auto hosted = std::make_shared<HostedService>();
  const ServiceTable none;
  EXPECT_FALSE(none.has_named());
  const auto unnamed = none.with("", hosted);
  EXPECT_FALSE(unnamed->has_named());
  EXPECT_EQ(unnamed->find(""), hosted);
  const auto both = unnamed->with("a", hosted);
  EXPECT_TRUE(both->has_named());
  EXPECT_EQ(both->with("a", nullptr)->find("a"), nullptr);
  EXPECT_EQ(unnamed->find("a"), nullptr) << "a table never changes";
}

// Answers each message with what it is and how many it has had.
template <char kKind>
class Numbering {
 public:
  Numbering(std::string_view, Context&) {}
  void message(ClientId, std::string_view, Context& context) {
    context.send_message(broadcast, std::string(1, kKind) + std::to_string(++count_));
  }

 private:
  int count_ = 0;
};

template <char kKind>
std::unique_ptr<service::Service> numbering() {
  return service::make_native_service(std::string(1, kKind), detail::native_service_factory<Numbering<kKind>>());
}

template <char kKind>
// NOLINTNEXTLINE(performance-unnecessary-value-param): both are moved.
OfferedService offer(std::string name, ServerOptions options = {}) {
  return {.name = std::move(name), .service = numbering<kKind>(), .options = std::move(options)};
}

class ServicesTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  void start(std::vector<OfferedService> services) {
    ServerOptions options;
    options.port = 0;
    options.shards = GetParam();
    auto made = Server::create(options, std::move(services), {.logger = log_, .clock = clock_});
    ASSERT_TRUE(made.has_value()) << made.error().message;
    server_ = std::move(*made);
    ASSERT_TRUE(server_->start().has_value());
  }
  std::string ask(const std::string& request_line) {
    TestClient client(server_->port());
    client.send(request_line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.read_to_end();
  }
  std::unique_ptr<TestClient> join(const std::string& path) {
    auto client = std::make_unique<TestClient>(server_->port());
    client->upgrade(path);
    (void)client->read_until("\r\n\r\n");
    return client;
  }
  static void expect_answer(TestClient& client, const std::string& answer) {
    client.send(TestClient::text("."));
    EXPECT_NE(client.read_until(answer).find(answer), std::string::npos) << answer;
  }
  void expect_refused(const std::string& path, const std::string& status) {
    TestClient client(server_->port());
    client.upgrade(path);
    EXPECT_TRUE(client.read_to_end().starts_with("HTTP/1.1 " + status)) << path;
  }
  void await_rooms(std::uint32_t count) {
    const SteadyTime deadline = clock_.steady() + std::chrono::seconds{20};
    const auto rooms = [this] {
      std::uint32_t all = 0;
      for (const ServiceFacts& facts : server_->services()) {
        all += facts.rooms;
      }
      return all;
    };
    while (rooms() != count && clock_.steady() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(rooms(), count);
  }

  NullLogger log_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
};

template <class... Offers>
std::vector<OfferedService> all_of(Offers... offers) {
  std::vector<OfferedService> all;
  (all.push_back(std::move(offers)), ...);
  return all;
}

TEST_P(ServicesTest, RoomsOfTwoServicesMayShareAnId) {
  start(all_of(offer<'a'>("one"), offer<'b'>("two")));
  const auto in_one = join("/ws/one/x");
  const auto in_two = join("/ws/two/x");
  const auto also_in_one = join("/ws/one/x");
  expect_answer(*in_one, "a1");
  expect_answer(*in_two, "b1");
  expect_answer(*also_in_one, "a2");
  EXPECT_NE(in_one->read_until("a2").find("a2"), std::string::npos);
  for (const char* path : {"/ws/three/x", "/ws//x", "/ws/x", "/ws/ONE/x", "/ws/%6fne/x"}) {
    expect_refused(path, "404 ");
  }
  for (const char* path : {"/ws/one/", "/ws/one/x/y", "/ws/one/.."}) {
    expect_refused(path, "400 ");
  }
}

TEST_P(ServicesTest, TheUnnamedServiceKeepsItsPaths) {
  start(all_of(offer<'a'>("")));
  expect_answer(*join("/ws/x"), "a1");
  expect_refused("/ws/x/y", "400 ");
  EXPECT_TRUE(ask("POST /new_room").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(ask("POST /new_room/x").starts_with("HTTP/1.1 404 "));
}

TEST_P(ServicesTest, NamedAndUnnamedLiveTogether) {
  start(all_of(offer<'a'>(""), offer<'b'>("two")));
  expect_answer(*join("/ws/two"), "a1");
  expect_answer(*join("/ws/two/two"), "b1");
}

TEST_P(ServicesTest, EachHasItsStrategy) {
  start(all_of(offer<'a'>("api", {.room_strategy = "api"}), offer<'b'>("short", {.room_strategy = "short"})));
  expect_refused("/ws/api/x", "404 ");
  EXPECT_TRUE(ask("POST /ws/api/x").ends_with("\r\n\r\nx"));
  EXPECT_TRUE(ask("POST /ws/api/x").starts_with("HTTP/1.1 409 "));
  expect_answer(*join("/ws/api/x"), "a1");
  EXPECT_TRUE(ask("POST /new_room/api").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("POST /new_room/none").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask("POST /new_room").starts_with("HTTP/1.1 404 "));
  const std::string made = ask("POST /new_room/short");
  ASSERT_TRUE(made.starts_with("HTTP/1.1 200 ")) << made;
  expect_answer(*join("/ws/short/" + made.substr(made.find("\r\n\r\n") + 4)), "b1");
}

TEST_P(ServicesTest, EachHasItsLimitOfRooms) {
  ServerOptions few;
  few.limits.rooms_per_service_max = 2;
  few.shutdown_policy = "immediate";
  start(all_of(offer<'a'>("few", few), offer<'b'>("many")));
  auto first = join("/ws/few/1");
  const auto second = join("/ws/few/2");
  expect_refused("/ws/few/3", "503 ");
  expect_answer(*join("/ws/many/3"), "b1");
  first.reset();
  await_rooms(2);  // One of each.
  expect_answer(*join("/ws/few/3"), "a1");
}

TEST_P(ServicesTest, EachHasItsFiles) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "services_test_files";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "index.html") << "the page of two";
  start(all_of(offer<'a'>("one"), offer<'b'>("two", {.static_dir = folder.string()})));
  EXPECT_TRUE(ask("GET /two/").ends_with("the page of two"));
  EXPECT_TRUE(ask("GET /two").starts_with("HTTP/1.1 308 "));
  EXPECT_TRUE(ask("GET /one/").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask("GET /two/../two/index.html").starts_with("HTTP/1.1 400 "));
}

TEST_P(ServicesTest, OneIsAddedWhileTheServerRuns) {
  start({});
  expect_refused("/ws/new/x", "404 ");
  ASSERT_TRUE(server_->add_service(offer<'a'>("new")).has_value());
  expect_answer(*join("/ws/new/x"), "a1");
  const auto again = server_->add_service(offer<'b'>("new"));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_EQ(server_->add_service(offer<'b'>("No")).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(server_->add_service(offer<'b'>("no", {.room_strategy = "short2"})).error().code,
            ErrorCode::InvalidArgument);
  EXPECT_EQ(server_->services().size(), 1U);
}

TEST_P(ServicesTest, OneIsReplacedForRoomsToCome) {
  start(all_of(offer<'a'>("s")));
  const auto old_room = join("/ws/s/old");
  expect_answer(*old_room, "a1");
  ASSERT_TRUE(server_->replace_service(offer<'b'>("s")).has_value());
  const auto new_room = join("/ws/s/new");
  expect_answer(*new_room, "b1");
  expect_answer(*old_room, "a2");
  expect_answer(*join("/ws/s/old"), "a3");
  EXPECT_EQ(server_->replace_service(offer<'b'>("t")).error().code, ErrorCode::NotFound);
  const auto facts = server_->services();
  ASSERT_EQ(facts.size(), 1U);
  EXPECT_EQ(facts[0].service, "b");
  EXPECT_EQ(facts[0].rooms, 2U) << "of both versions";
}

TEST_P(ServicesTest, OneIsRemovedWithItsRooms) {
  start(all_of(offer<'a'>("s"), offer<'b'>("stays")));
  const auto in_old = join("/ws/s/1");
  ASSERT_TRUE(server_->replace_service(offer<'c'>("s")).has_value());
  const auto in_new = join("/ws/s/2");
  const auto other = join("/ws/stays/1");
  expect_answer(*other, "b1");
  ASSERT_TRUE(server_->remove_service("s").has_value());
  const std::string closing = "\x03\xf4The service was removed";
  EXPECT_NE(in_old->read_until(closing).find(closing), std::string::npos);
  EXPECT_NE(in_new->read_until(closing).find(closing), std::string::npos);
  expect_refused("/ws/s/1", "404 ");
  expect_answer(*other, "b2");
  await_rooms(1);
  ASSERT_TRUE(server_->add_service(offer<'d'>("s")).has_value());
  expect_answer(*join("/ws/s/1"), "d1");
  EXPECT_EQ(server_->remove_service("none").error().code, ErrorCode::NotFound);
}

// Goal: no interleaving of changes with joins breaks anything. Method: one thread changes, others join and leave.
TEST_P(ServicesTest, ChangesAndJoinsAtTheSameTime) {
  constexpr int kRounds = 60;
  start(all_of(offer<'a'>("s", {.shutdown_policy = "immediate"})));
  std::vector<std::thread> joiners;
  joiners.reserve(2);
  for (int i = 0; i < 2; ++i) {
    joiners.emplace_back([this, i] {
      for (int round = 0; round < kRounds; ++round) {
        TestClient client(server_->port());
        client.upgrade("/ws/s/" + std::to_string((round * 7 + i) % 5));
        const std::string answer = client.read_until("\r\n\r\n");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ") || answer.starts_with("HTTP/1.1 404 ") ||
                    answer.starts_with("HTTP/1.1 503 "))
            << answer;
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_TRUE(server_->replace_service(offer<'b'>("s", {.shutdown_policy = "immediate"})).has_value());
    EXPECT_TRUE(server_->remove_service("s").has_value());
    EXPECT_TRUE(server_->add_service(offer<'c'>("s", {.shutdown_policy = "immediate"})).has_value());
  }
  for (std::thread& joiner : joiners) {
    joiner.join();
  }
  await_rooms(0);
}

INSTANTIATE_TEST_SUITE_P(Shards, ServicesTest, testing::Values(1U, 3U));

}  // namespace
}  // namespace jamsocket::server
