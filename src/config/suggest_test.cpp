#include "config/suggest.hpp"

#include <gtest/gtest.h>

#include <array>

namespace jamsocket::config {
namespace {

constexpr std::array<std::string_view, 4> kWords{"port", "host", "heartbeat_interval_seconds", "serve"};

TEST(Suggest, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("prot", kWords), "port");
  EXPECT_EQ(nearest("por", kWords), "port");
  EXPECT_EQ(nearest("sevre", kWords), "serve");
  EXPECT_EQ(nearest("heartbeat_interval", kWords), "heartbeat_interval_seconds");
}

TEST(Suggest, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest("zzzz", kWords), "");
  EXPECT_EQ(nearest("p", kWords), "");
  EXPECT_EQ(nearest(std::string(1000, 'p'), kWords), "");
  EXPECT_EQ(nearest("port", {}), "");
}

}  // namespace
}  // namespace jamsocket::config
