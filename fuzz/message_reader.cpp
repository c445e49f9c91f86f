// fuzz/message_reader.cpp
//
// Promise: any bytes, however they are cut into reads, give the same messages and the same end; text that comes
// out is UTF-8, messages keep the limits, memory held follows what was received, and nothing comes after the end.

#include "ws/message_reader.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "cuts.hpp"
#include "ws/client_frames_for_test.hpp"
#include "ws/close_code.hpp"

namespace {

using jamsocket::ws::MessageReader;
using jamsocket::ws::ReaderLimits;
using jamsocket::ws::StepKind;
using jamsocket::ws::testing::Seen;

void check_step(const Seen& step, const ReaderLimits& limits) {
  switch (step.kind) {
    case StepKind::Text:
      JAM_CHECK(jamsocket::is_utf8(step.payload));
      [[fallthrough]];
    case StepKind::Binary:
      JAM_CHECK(step.payload.size() <= limits.message_bytes_max);
      break;
    case StepKind::Ping:
    case StepKind::Pong:
      JAM_CHECK(step.payload.size() <= 125);
      break;
    case StepKind::Close:
      JAM_CHECK(step.code == 0 || jamsocket::ws::close_code::may_be_received(step.code));
      JAM_CHECK(jamsocket::is_utf8(step.payload));
      break;
    case StepKind::Failure:
      JAM_CHECK(step.code == 1002 || step.code == 1007 || step.code == 1008 || step.code == 1009);
      break;
    case StepKind::NeedMore:
      JAM_CHECK(false);
  }
}

std::vector<Seen> read(const std::vector<std::string_view>& pieces, const ReaderLimits& limits) {
  MessageReader reader;
  std::vector<Seen> seen;
  std::size_t received_bytes = 0;
  for (const std::string_view piece : pieces) {
    jamsocket::ws::testing::feed(reader, std::string(piece), limits, seen);
    received_bytes += piece.size();
    JAM_CHECK(reader.held_bytes() <= 2000 + 2 * received_bytes);
    JAM_CHECK(reader.mid_message() || reader.held_bytes() == 0);
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 6) {
    return 0;
  }
  std::uint32_t seed = 0;
  std::memcpy(&seed, data, 4);
  const ReaderLimits limits{.message_bytes_max = std::uint64_t{data[4]} * 8, .fragments_max = 1U + data[5] % 16U};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 6, size - 6);
  const std::vector<Seen> whole = read({bytes}, limits);
  std::vector<Seen> pieces = read(jamsocket::fuzz::cut(bytes, seed), limits);
  JAM_CHECK(whole == pieces);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    check_step(whole[i], limits);
    const bool is_end = whole[i].kind == StepKind::Close || whole[i].kind == StepKind::Failure;
    JAM_CHECK(!is_end || i + 1 == whole.size());
  }
  return 0;
}
