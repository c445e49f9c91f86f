#include "http/response.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/check.hpp"
#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

bool is_safe_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7F;
  });
}

// These have no body and say nothing of its length.
bool is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

Response& Response::add(std::string_view name, std::string_view value) {
  JAM_CHECK(is_token(name) && is_safe_value(value));
  headers.push_back({std::string(name), std::string(value)});
  return *this;
}

std::string_view Response::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [name](const Header& header) { return equal_ignoring_case(header.name, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  constexpr Phrase kPhrases[] = {
      {101, "Switching Protocols"},
      {200, "OK"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {304, "Not Modified"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {426, "Upgrade Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  const auto* found = std::ranges::find(kPhrases, status, &Phrase::status);
  return found == std::end(kPhrases) ? std::string_view() : found->text;
}

Response text_response(int status, std::string_view text) {
  Response response{.status = status, .headers = {}, .body = std::string(text)};
  response.add("Content-Type", "text/plain; charset=utf-8");
  response.add("X-Content-Type-Options", "nosniff");
  return response;
}

std::string serialise(const Response& response, const SerialiseOptions& options) {
  std::string bytes = serialise_head(response, response.body.size(), options);
  if (options.body == SendBody::Yes && !is_bodiless(response.status)) {
    bytes += response.body;
  }
  return bytes;
}

std::string serialise_head(const Response& response, std::uint64_t body_bytes, const SerialiseOptions& options) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  if (options.unix_ms >= 0) {
    head += fmt::format("Date: {}\r\n", http_date(options.unix_ms / 1000));
  }
  for (const Header& header : response.headers) {
    head += fmt::format("{}: {}\r\n", header.name, header.value);
  }
  if (!is_bodiless(response.status)) {
    head += fmt::format("Content-Length: {}\r\n", body_bytes);
  }
  if (response.status != 101) {
    head += options.after == AfterResponse::Close ? "Connection: close\r\n" : "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

std::string http_date(std::int64_t unix_s) {
  namespace chrono = std::chrono;
  constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const chrono::sys_seconds time{chrono::seconds(unix_s)};
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss<chrono::seconds> clock(time - day);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[chrono::weekday(day).c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

}  // namespace jamsocket::http
