#include "ws/deflate_offer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace jamsocket::ws {
namespace {

constexpr DeflateOptions kOn{.enabled = true};
constexpr DeflateOptions kTakeover{.enabled = true, .takeover = ContextTakeover::Yes};
constexpr DeflateOptions kSmall{.enabled = true, .server_window_bits = 10, .client_window_bits = 11};

// The answer, or "" for none, or "malformed".
std::string answer(const std::string& offers, const DeflateOptions& options = kOn) {
  const auto agreed = negotiate_deflate(offers, options);
  if (!agreed) {
    EXPECT_EQ(agreed.error().code, ErrorCode::Malformed);
    return "malformed";
  }
  return agreed->has_value() ? (*agreed)->answer : "";
}

const std::string kPlain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

TEST(NegotiateDeflate, AnswersEachParameter) {
  EXPECT_EQ(answer("permessage-deflate"), kPlain);
  EXPECT_EQ(answer("permessage-deflate; server_no_context_takeover; client_no_context_takeover"), kPlain);
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits"), kPlain);
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=15"), kPlain + "; server_max_window_bits=15");
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=9"), kPlain + "; server_max_window_bits=9");
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=\"10\""), kPlain + "; server_max_window_bits=10");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=9"), kPlain + "; client_max_window_bits=9");
  EXPECT_EQ(answer("permessage-deflate;client_max_window_bits=15;server_max_window_bits=12"),
            kPlain + "; server_max_window_bits=12");
}

TEST(NegotiateDeflate, TakesContextsOverOnlyIfBothWant) {
  EXPECT_EQ(answer("permessage-deflate", kTakeover), "permessage-deflate");
  EXPECT_EQ(answer("permessage-deflate; server_no_context_takeover", kTakeover),
            "permessage-deflate; server_no_context_takeover");
  EXPECT_EQ(answer("permessage-deflate; client_no_context_takeover", kTakeover),
            "permessage-deflate; client_no_context_takeover");
  const auto agreed = negotiate_deflate("permessage-deflate; server_no_context_takeover", kTakeover);
  ASSERT_TRUE(agreed.has_value() && agreed->has_value());
  EXPECT_EQ((*agreed)->agreement.server_takeover, ContextTakeover::No);
  EXPECT_EQ((*agreed)->agreement.client_takeover, ContextTakeover::Yes);
}

// RFC 7692 section 7.1.2.2: the client's window may be limited only if the client said that it can be.
TEST(NegotiateDeflate, LimitsWindowsAsFarAsItMay) {
  EXPECT_EQ(answer("permessage-deflate", kSmall), kPlain + "; server_max_window_bits=10");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", kSmall),
            kPlain + "; server_max_window_bits=10; client_max_window_bits=11");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", kSmall),
            kPlain + "; server_max_window_bits=9; client_max_window_bits=9");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=14; server_max_window_bits=14", kSmall),
            kPlain + "; server_max_window_bits=10; client_max_window_bits=11");
  const auto agreed = negotiate_deflate("permessage-deflate", kSmall);
  ASSERT_TRUE(agreed.has_value() && agreed->has_value());
  EXPECT_EQ((*agreed)->agreement.client_window_bits, 15);
  EXPECT_EQ((*agreed)->agreement.server_window_bits, 10);
}

TEST(NegotiateDeflate, PassesOverOffersThatItCannotHoldTo) {
  for (const std::string offer :
       {"", "x-webkit-deflate-frame", "permessage-bzip2", "Permessage-Deflate", "permessage-deflate; unknown",
        "permessage-deflate; unknown=1", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16", "permessage-deflate; client_max_window_bits=abc",
        "permessage-deflate; client_max_window_bits=08", "permessage-deflate; client_max_window_bits=115",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits; client_max_window_bits"}) {
    EXPECT_EQ(answer(offer), "") << offer;
    // A later offer that is sound is taken instead.
    EXPECT_EQ(answer(offer + (offer.empty() ? "" : ", ") + "permessage-deflate"), kPlain) << offer;
  }
}

TEST(NegotiateDeflate, TakesTheFirstSoundOffer) {
  EXPECT_EQ(answer("x; a=b, permessage-deflate; server_max_window_bits=12, permessage-deflate"),
            kPlain + "; server_max_window_bits=12");
  std::string many = "permessage-deflate";
  for (int i = 0; i < 100; ++i) {
    many += ", permessage-deflate";
  }
  EXPECT_EQ(answer(many), kPlain);
  EXPECT_EQ(answer(" , ,permessage-deflate,,\t"), kPlain);
}

TEST(NegotiateDeflate, RefusesWhatIsNoList) {
  for (const DeflateOptions& options : {kOn, DeflateOptions{}}) {
    for (const auto* offers : {"permessage-deflate; server_max_window_bits=\"10", "permessage-deflate;",
                               "permessage-deflate; =1", "permessage-deflate; a=", "permessage-deflate a", "; a", "a b",
                               "permessage-deflate; a=\"\"", "permessage-deflate; a=\"x y\"", "a; b=c d",
                               "permessage-deflate; a=\"b\\", "\"permessage-deflate\"", "a;;b", "\x01"}) {
      EXPECT_EQ(answer(offers, options), "malformed") << offers;
    }
  }
  // Known to make careless patterns slow.
  EXPECT_EQ(answer("b" + std::string(30'000, ' ') + "x"), "malformed");
}

TEST(NegotiateDeflate, AgreesToNothingWhenItIsOff) { EXPECT_EQ(answer("permessage-deflate", DeflateOptions{}), ""); }

}  // namespace
}  // namespace jamsocket::ws
