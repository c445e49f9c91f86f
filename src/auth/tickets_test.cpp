#include "auth/tickets.hpp"

#include <gtest/gtest.h>

namespace jamsocket::auth {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kNow{1h};
constexpr TicketLimits kLimits{.tickets_max = 3, .lifetime = 30s};

Identity somebody(std::string name) { return {.subject = std::move(name), .expires_ms = 7, .claims = {{"role", "x"}}}; }

// A-06, all but two nodes: there is one.
TEST(Tickets, AreGoodOnceForTheirRoom) {
  Tickets tickets;
  const std::string ticket = tickets.issue("room", somebody("alice"), kLimits, kNow).value();
  EXPECT_EQ(tickets.redeem(ticket, "room2", kNow), std::nullopt);
  EXPECT_EQ(tickets.redeem(ticket, "roo", kNow), std::nullopt);
  EXPECT_EQ(tickets.redeem(ticket, "room", kNow), somebody("alice"));
  EXPECT_EQ(tickets.redeem(ticket, "room", kNow), std::nullopt);
  EXPECT_EQ(tickets.size(), 0U);
}

TEST(Tickets, GrowOld) {
  Tickets tickets;
  const std::string first = tickets.issue("room", somebody("alice"), kLimits, kNow).value();
  const std::string second = tickets.issue("room", somebody("alice"), kLimits, kNow).value();
  EXPECT_TRUE(tickets.redeem(first, "room", kNow + 30s - 1ms).has_value());
  EXPECT_FALSE(tickets.redeem(second, "room", kNow + 30s).has_value());
}

TEST(Tickets, AreBoundedInNumberUntilTheOldOnesGo) {
  Tickets tickets;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(tickets.issue("room", somebody("alice"), kLimits, kNow).has_value());
  }
  EXPECT_FALSE(tickets.issue("room", somebody("alice"), kLimits, kNow + 29s).has_value());
  EXPECT_TRUE(tickets.issue("room", somebody("alice"), kLimits, kNow + 30s).has_value());
}

TEST(Tickets, CanBeTakenBack) {
  Tickets tickets;
  const std::string alice = tickets.issue("room", somebody("alice"), kLimits, kNow).value();
  const std::string bob = tickets.issue("room", somebody("bob"), kLimits, kNow).value();
  EXPECT_EQ(tickets.revoke("alice", "other"), 0U);
  EXPECT_EQ(tickets.revoke("alice", "ro"), 1U);
  EXPECT_FALSE(tickets.redeem(alice, "room", kNow).has_value());
  EXPECT_TRUE(tickets.redeem(bob, "room", kNow).has_value());
}

TEST(Tickets, AreNotGuessed) {
  Tickets tickets;
  const std::string ticket = tickets.issue("room", somebody("alice"), kLimits, kNow).value();
  std::string other = ticket;
  other.back() = other.back() == 'A' ? 'Q' : 'A';
  for (const std::string& guess :
       {other, ticket.substr(0, ticket.size() - 1), ticket + "A", std::string("1"), std::string("1-"), std::string("-"),
        std::string(), "2" + ticket.substr(1), std::string("99999999999999999999999-x"), " " + ticket, "+" + ticket}) {
    EXPECT_FALSE(tickets.redeem(guess, "room", kNow).has_value()) << guess;
  }
  EXPECT_TRUE(tickets.redeem(ticket, "room", kNow).has_value());
}

}  // namespace
}  // namespace jamsocket::auth
