#include "server/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace jamsocket::server {
namespace {

using Kind = Credential::Kind;
using testing::ElementsAre;
using testing::IsEmpty;

struct Asked {
  http::Request request;
  std::vector<std::string> protocols;
  TokenCarriers carriers{};

  std::string take() {
    const auto credential = take_credential(request, carriers, &protocols);
    if (!credential) {
      return std::to_string(credential.error().status);
    }
    return credential->kind == Kind::None ? "none"
                                          : (credential->kind == Kind::Token ? "token " : "ticket ") + credential->text;
  }
};

Asked asked(std::string query, std::vector<http::Header> headers, std::vector<std::string> protocols = {}) {
  Asked asked;
  asked.request.query = std::move(query);
  asked.request.headers = std::move(headers);
  asked.protocols = std::move(protocols);
  return asked;
}

TEST(Credentials, AreFoundInEachPlace) {
  EXPECT_EQ(asked("", {}).take(), "none");
  EXPECT_EQ(asked("", {{"authorization", "bearer a.b.c"}}).take(), "token a.b.c");
  EXPECT_EQ(asked("", {{"Authorization", "Basic YTpi"}}).take(), "none");
  EXPECT_EQ(asked("", {{"Authorization", "Bearer"}}).take(), "none");
  EXPECT_EQ(asked("x=1&ticket=7-abc", {}).take(), "ticket 7-abc");
  EXPECT_EQ(asked("xticket=7", {}).take(), "none");
  Asked plain = asked("", {}, {"chat", "jam.bearer.a.b.c"});
  EXPECT_EQ(plain.take(), "token a.b.c");
  EXPECT_THAT(plain.protocols, ElementsAre("chat"));
  // RFC 4648: "a.b.c" is YS5iLmM.
  EXPECT_EQ(asked("", {}, {"jam.bearer.YS5iLmM", "chat"}).take(), "token a.b.c");
  EXPECT_EQ(asked("", {}, {"jam.bearer.!", "chat"}).take(), "token !");
}

//
TEST(Credentials, MoreThanOneIsRefused) {
  EXPECT_EQ(asked("", {}, {"jam.bearer.a.b.c"}).take(), "400") << "no subprotocol to answer with";
  EXPECT_EQ(asked("", {}, {"jam.bearer.a.b.c", "jam.resume.1-x"}).take(), "400");
  EXPECT_EQ(asked("", {}, {"jam.bearer.a.b.c", "jam.bearer.d.e.f", "chat"}).take(), "400");
  EXPECT_EQ(asked("ticket=1-x", {{"Authorization", "Bearer a.b.c"}}).take(), "400");
  EXPECT_EQ(asked("", {{"Authorization", "Bearer a.b.c"}}, {"jam.bearer.a.b.c", "chat"}).take(), "400");
  EXPECT_EQ(asked("ticket=1-x", {}, {"jam.bearer.a.b.c", "chat"}).take(), "400");
  EXPECT_EQ(asked("ticket=1-x&ticket=2-y", {}).take(), "400");
  EXPECT_EQ(asked("", {{"Authorization", "Bearer a"}, {"Authorization", "Bearer b"}}).take(), "400");
}

TEST(Credentials, PlacesThatAreNotAllowedMeanNothing) {
  Asked nowhere = asked("ticket=1-x", {{"Authorization", "Bearer a.b.c"}}, {"jam.bearer.a.b.c"});
  nowhere.carriers = {.subprotocol = false, .authorization = false, .ticket = false, .message = false};
  EXPECT_EQ(nowhere.take(), "none");
  EXPECT_THAT(nowhere.protocols, ElementsAre("jam.bearer.a.b.c"));
}

TEST(Credentials, ResumeTokensAreTakenOut) {
  Asked by_protocol = asked("", {}, {"chat", "jam.resume.7-abc"});
  EXPECT_EQ(take_resume(by_protocol.request, by_protocol.protocols), "7-abc");
  EXPECT_THAT(by_protocol.protocols, ElementsAre("chat"));
  Asked by_query = asked("a=b&resume=8-def", {});
  EXPECT_EQ(take_resume(by_query.request, by_query.protocols), "8-def");
  Asked neither = asked("a=b", {});
  EXPECT_THAT(take_resume(neither.request, neither.protocols), IsEmpty());
}

TEST(Credentials, ServicesSeeNoneOfIt) {
  EXPECT_EQ(without_secrets("ticket=1-x"), "");
  EXPECT_EQ(without_secrets("a=b&ticket=1-x&c=d&resume=2"), "a=b&c=d");
  EXPECT_EQ(without_secrets("tickets=1&a"), "tickets=1&a");
}

}  // namespace
}  // namespace jamsocket::server
