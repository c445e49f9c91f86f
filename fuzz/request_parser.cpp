// fuzz/request_parser.cpp
//
// Promise: any bytes, however they are cut into reads, are answered by the same request or the same refusal,
// never claim more bytes than there were, and a request that comes out keeps what its type says.

#include "http/request_parser.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/check.hpp"
#include "cuts.hpp"
#include "http/conditional.hpp"
#include "http/content_coding.hpp"
#include "http/requests_for_test.hpp"
#include "http/upgrade.hpp"

namespace {

using jamsocket::http::ParseStatus;
using jamsocket::http::Request;
using jamsocket::http::testing::Parsed;

Parsed parse_cut(std::string_view bytes, std::uint32_t seed) {
  jamsocket::http::RequestParser parser;
  std::size_t before = 0;
  for (const std::string_view piece : jamsocket::fuzz::cut(bytes, seed)) {
    const auto step = parser.feed(piece);
    if (step.status == ParseStatus::Failure) {
      return {.status = step.status, .http_status = step.http_status, .reason = {}, .request = {}, .consumed_bytes = 0};
    }
    JAM_CHECK(step.consumed_bytes <= piece.size());
    before += step.consumed_bytes;
    if (step.status == ParseStatus::Complete) {
      return {.status = step.status,
              .http_status = 0,
              .reason = {},
              .request = std::move(parser.request()),
              .consumed_bytes = before};
    }
    JAM_CHECK(step.consumed_bytes == piece.size());
  }
  return {};
}

void check_request(const Request& request, std::string_view bytes) {
  JAM_CHECK(request.path.starts_with('/'));
  JAM_CHECK(request.version_minor <= 1);
  JAM_CHECK(request.headers.size() <= 64);
  JAM_CHECK(request.target.size() <= 2048);
  JAM_CHECK(request.version_minor == 0 || request.header_count("Host") == 1);
  for (const auto& header : request.headers) {
    JAM_CHECK(!header.name.empty());
    JAM_CHECK(header.value.empty() || bytes.find(header.value) != std::string_view::npos);
    JAM_CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  const auto upgrade = jamsocket::http::check_upgrade(request);
  JAM_CHECK(upgrade.has_value() || upgrade.error().status >= 400);
  const jamsocket::http::Validators validators{.etag = "\"a\"", .modified_unix_s = 1};
  (void)jamsocket::http::evaluate_preconditions(request, validators);
  const auto range = jamsocket::http::evaluate_range(request, validators, 1000);
  JAM_CHECK(range.offset + range.bytes <= 1000);
  constexpr std::array<std::string_view, 2> kCodings{"br", "gzip"};
  const std::string_view coding = jamsocket::http::preferred_coding(request, kCodings);
  JAM_CHECK(coding.empty() || coding == kCodings[0] || coding == kCodings[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) {
    return 0;
  }
  std::uint32_t seed = 0;
  std::memcpy(&seed, data, 4);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
  const Parsed whole = jamsocket::http::testing::parse(bytes);
  const Parsed pieces = parse_cut(bytes, seed);
  JAM_CHECK(whole.status == pieces.status);
  JAM_CHECK(whole.http_status == pieces.http_status);
  JAM_CHECK(whole.consumed_bytes == pieces.consumed_bytes);
  JAM_CHECK(whole.consumed_bytes <= bytes.size());
  if (whole.status == ParseStatus::Complete) {
    JAM_CHECK(whole.request.headers == pieces.request.headers);
    JAM_CHECK(whole.request.target == pieces.request.target);
    check_request(whole.request, bytes);
  }
  return 0;
}
