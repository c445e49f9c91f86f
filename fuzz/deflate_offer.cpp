// fuzz/deflate_offer.cpp
//
// Promise: any text as Sec-WebSocket-Extensions is answered; what is agreed to was offered, and the answer is itself
// an offer that would be agreed to alike.

#include "ws/deflate_offer.hpp"

#include <cstdint>
#include <string_view>

#include "base/check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using jamsocket::ws::ContextTakeover;
  if (size < 1) {
    return 0;
  }
  const std::string_view offers(reinterpret_cast<const char*>(data) + 1, size - 1);
  const jamsocket::ws::DeflateOptions options{
      .enabled = true,
      .takeover = (data[0] & 1U) != 0 ? ContextTakeover::Yes : ContextTakeover::No,
      .server_window_bits = static_cast<std::uint8_t>(9 + data[0] / 2 % 7),
      .client_window_bits = static_cast<std::uint8_t>(8 + data[0] / 16 % 8),
  };
  const auto agreed = jamsocket::ws::negotiate_deflate(offers, options);
  const auto off = jamsocket::ws::negotiate_deflate(offers, {});
  JAM_CHECK(agreed.has_value() == off.has_value());
  if (!agreed || !agreed->has_value()) {
    return 0;
  }
  const auto& [agreement, answer] = **agreed;
  JAM_CHECK(offers.contains("permessage-deflate"));
  JAM_CHECK(agreement.server_window_bits >= 9 && agreement.server_window_bits <= options.server_window_bits);
  JAM_CHECK(agreement.client_window_bits >= 8 && agreement.client_window_bits <= 15);
  const auto again = jamsocket::ws::negotiate_deflate(answer, options);
  JAM_CHECK(again.has_value() && again->has_value());
  JAM_CHECK((*again)->agreement == agreement);
  return 0;
}
