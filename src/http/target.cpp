#include "http/target.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/number.hpp"
#include "base/utf8.hpp"
#include "http/request.hpp"

namespace jamsocket::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char folded = static_cast<char>(c | 0x20);
  return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

// Each %XX once; nullopt if a % is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) {
      return std::nullopt;
    }
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// Of valid UTF-8: U+0000 to U+001F, U+007F, and U+0080 to U+009F (C2 80 to C2 9F).
bool has_control_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) {
      return true;
    }
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      return true;
    }
  }
  return false;
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~%!$&'()*+,;=").contains(c);
}

bool is_ipv6_char(char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; }

bool is_port(std::string_view text) {
  // "host:" means the default port.
  return text.empty() || parse_number<std::uint16_t>(text);
}

std::unexpected<Error> bad_id(std::string_view what, std::size_t bytes_max,
                              ErrorCode code = ErrorCode::InvalidArgument) {
  return fail(code,
              fmt::format("The room id {}; a room id is one path segment of 1 to {} bytes of UTF-8 without control "
                          "characters, and not \".\" or \"..\".",
                          what, bytes_max));
}

TargetParts split_path(std::string_view path_and_query) {
  const auto mark = path_and_query.find('?');
  TargetParts parts;
  parts.path = path_and_query.substr(0, mark);
  if (mark != std::string_view::npos) {
    parts.query = path_and_query.substr(mark + 1);
  }
  return parts;
}

}  // namespace

std::optional<TargetParts> parse_request_target(std::string_view target) {
  if (target.starts_with('/')) {
    return split_path(target);
  }
  const auto scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view scheme = target.substr(0, scheme_end);
  constexpr std::array<std::string_view, 4> kSchemes{"http", "https", "ws", "wss"};
  if (std::ranges::none_of(kSchemes, [scheme](auto known) { return equal_ignoring_case(scheme, known); })) {
    return std::nullopt;
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (!is_authority(authority)) {
    return std::nullopt;
  }
  TargetParts parts = split_path(rest.substr(authority_end));
  parts.authority = authority;
  if (parts.path.empty()) {
    parts.path = "/";
  }
  return parts;
}

bool is_authority(std::string_view text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos || end < 3 || !std::ranges::all_of(text.substr(1, end - 1), is_ipv6_char)) {
      return false;
    }
    const std::string_view after = text.substr(end + 1);
    return after.empty() || (after.starts_with(':') && is_port(after.substr(1)));
  }
  const auto colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  return !host.empty() && std::ranges::all_of(host, is_host_char) &&
         (colon == std::string_view::npos || is_port(text.substr(colon + 1)));
}

Route route(std::string_view path) {
  constexpr std::string_view kRoom = "/ws/";
  constexpr std::string_view kNewRoom = "/new_room/";
  constexpr std::string_view kTicket = "/ticket/";
  constexpr std::string_view kClient = "/client";
  if (path == "/status") {
    return {RouteKind::Status, {}};
  }
  if (path == "/new_room") {
    return {RouteKind::NewRoom, {}};
  }
  if (path.starts_with(kNewRoom) && path.size() > kNewRoom.size()) {
    return {RouteKind::NewRoom, path.substr(kNewRoom.size())};
  }
  if (path.starts_with(kRoom)) {
    return {RouteKind::Room, path.substr(kRoom.size())};
  }
  if (path.starts_with(kTicket)) {
    return {RouteKind::Ticket, path.substr(kTicket.size())};
  }
  if (path == kClient || path.starts_with("/client/")) {
    return {RouteKind::Client, path.substr(kClient.size())};
  }
  return {RouteKind::Static, path};
}

Result<void> check_room_id(std::string_view id, std::size_t bytes_max) {
  if (id.empty()) {
    return bad_id("is empty", bytes_max);
  }
  if (id.size() > bytes_max) {
    return bad_id("is too long", bytes_max, ErrorCode::TooLarge);
  }
  if (!is_utf8(id)) {
    return bad_id("is not UTF-8", bytes_max);
  }
  if (has_control_character(id)) {
    return bad_id("has a control character", bytes_max);
  }
  if (id == "." || id == "..") {
    return bad_id("is \".\" or \"..\"", bytes_max);
  }
  return {};
}

Result<std::string> decode_room_id(std::string_view encoded_segment, std::size_t bytes_max) {
  if (encoded_segment.contains('/')) {
    return bad_id("has a slash in it (in the path, write %2F)", bytes_max);
  }
  if (encoded_segment.size() > 3 * bytes_max) {
    return bad_id("is too long", bytes_max, ErrorCode::TooLarge);
  }
  std::optional<std::string> id = percent_decode(encoded_segment);
  if (!id) {
    return bad_id("has a % that is not followed by two hexadecimal digits", bytes_max);
  }
  JAM_TRY_VOID(check_room_id(*id, bytes_max));
  return std::move(*id);
}

std::optional<std::string> decode_text(std::string_view encoded, std::size_t bytes_max) {
  std::optional<std::string> text = percent_decode(encoded);
  const bool is_one = text && text->size() <= bytes_max && is_utf8(*text) && !has_control_character(*text);
  return is_one ? std::move(text) : std::nullopt;
}

Result<std::string> decode_file_path(std::string_view encoded_path) {
  if (!encoded_path.starts_with('/')) {
    return fail(ErrorCode::InvalidArgument, "A path begins with a slash.");
  }
  std::string path;
  std::string_view rest = encoded_path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto end = std::min(rest.find('/'), rest.size());
    const std::optional<std::string> segment = percent_decode(rest.substr(0, end));
    rest.remove_prefix(end);
    if (!segment || !is_utf8(*segment) || has_control_character(*segment)) {
      return fail(ErrorCode::InvalidArgument, "The path is not percent-encoded UTF-8 without control characters.");
    }
    const bool is_last = rest.empty();
    if ((segment->empty() && !is_last) || *segment == "." || *segment == ".." || segment->contains('/') ||
        segment->contains('\\')) {
      return fail(ErrorCode::InvalidArgument,
                  "The path has an empty, \".\" or \"..\" segment, or an encoded slash in one.");
    }
    path += '/';
    path += *segment;
  }
  return path;
}

}  // namespace jamsocket::http
