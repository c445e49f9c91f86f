// fuzz/inflate.cpp
//
// Promise: any bytes as compressed data give a message within the limit or a refusal, the same from an inflater that
// served others before; frames around them give the same however they are cut; what we compress comes back.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "cuts.hpp"
#include "ws/client_frames_for_test.hpp"
#include "ws/deflate.hpp"

namespace {

using jamsocket::ws::ContextTakeover;
using jamsocket::ws::DeflateAgreement;
using jamsocket::ws::Deflater;
using jamsocket::ws::Inflater;
using jamsocket::ws::MessageReader;
using jamsocket::ws::StepKind;
using jamsocket::ws::testing::Seen;

std::vector<Seen> read(const std::vector<std::string_view>& pieces, std::size_t bytes_max,
                       const DeflateAgreement& agreement) {
  Inflater inflater;
  MessageReader reader;
  std::vector<Seen> seen;
  for (const std::string_view piece : pieces) {
    jamsocket::ws::testing::feed(reader, std::string(piece), {.message_bytes_max = bytes_max}, seen,
                                 {.inflater = &inflater, .agreement = agreement});
  }
  for (const Seen& step : seen) {
    JAM_CHECK(step.kind != StepKind::Text || jamsocket::is_utf8(step.payload));
    JAM_CHECK(step.payload.size() <= std::max<std::size_t>(bytes_max, 125));
  }
  return seen;
}

void inflate_twice(std::string_view bytes, std::size_t bytes_max, const DeflateAgreement& agreement) {
  Inflater used;
  JAM_CHECK(!used.inflate("\xf2\x48\xcd\xc9\xc9", 100, {}).has_value());  // Left in the middle of a block.
  DeflateAgreement alone = agreement;
  alone.client_takeover = ContextTakeover::No;
  const auto again = used.inflate(bytes, bytes_max, alone);
  Inflater fresh;
  const auto message = fresh.inflate(bytes, bytes_max, alone);
  JAM_CHECK(message.has_value() == again.has_value());
  if (message) {
    JAM_CHECK(*message == *again && message->size() <= bytes_max);
  } else {
    JAM_CHECK(message.error().close_code == again.error().close_code);
    JAM_CHECK(message.error().close_code == 1007 || message.error().close_code == 1009);
  }
}

void round_trip(std::string_view bytes, const DeflateAgreement& agreement) {
  Deflater deflater(1);
  Inflater inflater;
  DeflateAgreement same = agreement;
  same.client_window_bits = agreement.server_window_bits;
  same.client_takeover = agreement.server_takeover;
  std::string message;
  while (message.size() < 1024 && !bytes.empty()) {
    message += bytes;
  }
  for (int i = 0; i < 2; ++i) {
    if (const auto compressed = deflater.deflate(message, same)) {
      JAM_CHECK(inflater.inflate(*compressed, message.size(), same) == message);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) {
    return 0;
  }
  std::uint32_t seed = 0;
  std::memcpy(&seed, data, 4);
  const std::size_t bytes_max = std::size_t{data[4]} * 64;
  const DeflateAgreement agreement{
      .server_window_bits = static_cast<std::uint8_t>(9 + data[5] % 7),
      .client_window_bits = static_cast<std::uint8_t>(8 + data[5] % 8),
      .server_takeover = (data[5] & 0x40U) != 0 ? ContextTakeover::Yes : ContextTakeover::No,
      .client_takeover = (data[5] & 0x80U) != 0 ? ContextTakeover::Yes : ContextTakeover::No,
  };
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 6, size - 6);
  inflate_twice(bytes, bytes_max, agreement);
  round_trip(bytes, agreement);
  // The bytes as the payload of a compressed message, and as frames.
  const std::string framed = jamsocket::ws::testing::client_frame(0xC1, bytes, {0, 0, 0, 0});
  for (const std::string_view wire : {std::string_view(framed), bytes}) {
    JAM_CHECK(read({wire}, bytes_max, agreement) == read(jamsocket::fuzz::cut(wire, seed), bytes_max, agreement));
  }
  return 0;
}
