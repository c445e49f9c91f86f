// fuzz/target.cpp
//
// Promise: any text as a target, room id, file path, host or date is answered; what is let through is what the
// header says it is: a room id is 1 to 256 bytes of UTF-8 without control characters, a file path stays below
// its root.

#include "http/target.hpp"

#include <simdjson.h>

#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "http/conditional.hpp"
#include "http/content_type.hpp"

namespace {

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

bool has_ascii_control(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      return true;
    }
  }
  return false;
}

void check_room_id(std::string_view text) {
  const auto id = jamsocket::http::decode_room_id(text);
  if (!id) {
    JAM_CHECK(is_utf8(id.error().message));
    return;
  }
  JAM_CHECK(!id->empty() && id->size() <= 256);
  JAM_CHECK(is_utf8(*id) && !has_ascii_control(*id));
  JAM_CHECK(*id != "." && *id != "..");
}

void check_file_path(std::string_view text) {
  const auto path = jamsocket::http::decode_file_path(text);
  if (!path) {
    return;
  }
  JAM_CHECK(path->starts_with('/'));
  JAM_CHECK(is_utf8(*path) && !has_ascii_control(*path));
  const std::string closed = *path + "/";
  JAM_CHECK(!closed.contains("/../") && !closed.contains("/./") && !path->contains("//") && !path->contains('\\'));
  (void)jamsocket::http::content_type_of(*path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_room_id(text);
  check_file_path(text);
  (void)jamsocket::http::is_authority(text);
  const auto date = jamsocket::http::parse_http_date(text);
  JAM_CHECK(!date || *date < 253402300800 + 86400);
  if (const auto parts = jamsocket::http::parse_request_target(text)) {
    JAM_CHECK(parts->path.starts_with('/'));
    JAM_CHECK(!parts->path.contains('?'));
    const auto route = jamsocket::http::route(parts->path);
    JAM_CHECK(route.rest.size() <= parts->path.size());
  }
  return 0;
}
