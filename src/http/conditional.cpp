#include "http/conditional.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/number.hpp"
#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

enum class Comparison : std::uint8_t { Strong, Weak };

// Whether `list` is "*" or holds an entity tag equal to `etag`. RFC 9110 section 8.8.3.
bool matches(std::string_view list, std::string_view etag, Comparison comparison) {
  if (trim(list) == "*") {
    return true;
  }
  while (!list.empty()) {
    const auto begin = list.find_first_not_of(" \t,");
    if (begin == std::string_view::npos) {
      return false;
    }
    list.remove_prefix(begin);
    const bool is_weak = list.starts_with("W/");
    list.remove_prefix(is_weak ? 2 : 0);
    const auto end = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      return false;
    }
    if (list.substr(0, end + 1) == etag && !(is_weak && comparison == Comparison::Strong)) {
      return true;
    }
    list.remove_prefix(end + 1);
  }
  return false;
}

// A position in a file: digits; one beyond 2^64 is beyond any file's end.
std::optional<std::uint64_t> position(std::string_view text) {
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  return is_number ? std::optional(parse_number<std::uint64_t>(text).value_or(UINT64_MAX)) : std::nullopt;
}

bool is_get_or_head(const Request& request) { return request.method == Method::Get || request.method == Method::Head; }

std::optional<unsigned> month_of(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto* found = std::ranges::find(kMonths, name);
  if (found == kMonths.end()) {
    return std::nullopt;
  }
  return static_cast<unsigned>(found - kMonths.begin()) + 1;
}

std::string_view take_word(std::string_view& rest, char separator) {
  while (rest.starts_with(' ')) {
    rest.remove_prefix(1);  // asctime pads the day of the month.
  }
  const auto end = std::min(rest.find(separator), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

struct DateParts {
  std::string_view day;
  std::string_view month;
  std::string_view year;
  std::string_view time;
};

std::optional<std::int64_t> seconds_of(const DateParts& parts) {
  namespace chrono = std::chrono;
  std::string_view clock = parts.time;
  const auto day_number = parse_number<unsigned>(parts.day);
  const auto month_number = month_of(parts.month);
  auto year_number = parse_number<std::uint32_t>(parts.year);
  const auto hour = parse_number<std::uint32_t>(take_word(clock, ':'));
  const auto minute = parse_number<std::uint32_t>(take_word(clock, ':'));
  const auto second = parse_number<std::uint32_t>(clock);
  if (!day_number || !month_number || !year_number || !hour || !minute || !second || *hour > 23 || *minute > 59 ||
      *second > 60 || *year_number > 9999) {
    return std::nullopt;
  }
  if (parts.year.size() == 2) {
    *year_number += *year_number < 70 ? 2000U : 1900U;
  }
  const chrono::year_month_day date{chrono::year(static_cast<int>(*year_number)), chrono::month(*month_number),
                                    chrono::day(*day_number)};
  if (!date.ok()) {
    return std::nullopt;
  }
  const auto days_since_epoch = chrono::sys_days(date).time_since_epoch();
  return chrono::duration_cast<chrono::seconds>(days_since_epoch).count() + std::int64_t{*hour} * 3600 +
         std::int64_t{*minute} * 60 + *second;
}

// The one range of "bytes=...", or nullopt if there are several or it is no range.
std::optional<RangeRequest> single_range(std::string_view spec, std::uint64_t size_bytes) {
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos || spec.contains(',')) {
    return std::nullopt;
  }
  const std::string_view first_text = trim(spec.substr(0, dash));
  const std::string_view last_text = trim(spec.substr(dash + 1));
  constexpr RangeRequest kUnsatisfiable{.kind = RangeRequest::Kind::Unsatisfiable};
  if (first_text.empty()) {
    const auto suffix = position(last_text);
    if (!suffix) {
      return std::nullopt;
    }
    const std::uint64_t bytes = std::min(*suffix, size_bytes);
    return bytes == 0 ? kUnsatisfiable
                      : RangeRequest{.kind = RangeRequest::Kind::Part, .offset = size_bytes - bytes, .bytes = bytes};
  }
  const auto first = position(first_text);
  const auto last = last_text.empty() ? std::optional(UINT64_MAX) : position(last_text);
  if (!first || !last || *last < *first) {
    return std::nullopt;
  }
  if (*first >= size_bytes) {
    return kUnsatisfiable;
  }
  const std::uint64_t end = std::min(*last, size_bytes - 1);
  return RangeRequest{.kind = RangeRequest::Kind::Part, .offset = *first, .bytes = end - *first + 1};
}

bool if_range_holds(const Request& request, const Validators& current) {
  const auto condition = request.header("If-Range");
  if (!condition) {
    return true;
  }
  if (condition->starts_with('"')) {
    return *condition == current.etag;
  }
  // A date here is as good as an entity tag only when the file has rested for a second; tags are always sent.
  return false;
}

}  // namespace

Precondition evaluate_preconditions(const Request& request, const Validators& current) {
  if (request.header_count("If-Match") > 0) {
    if (!matches(request.header_joined("If-Match"), current.etag, Comparison::Strong)) {
      return Precondition::Failed;
    }
  } else if (const auto unmodified_since = request.header("If-Unmodified-Since")) {
    const auto date = parse_http_date(*unmodified_since);
    if (date && current.modified_unix_s > *date) {
      return Precondition::Failed;
    }
  }
  if (request.header_count("If-None-Match") > 0) {
    if (matches(request.header_joined("If-None-Match"), current.etag, Comparison::Weak)) {
      return is_get_or_head(request) ? Precondition::NotModified : Precondition::Failed;
    }
  } else if (const auto modified_since = request.header("If-Modified-Since");
             modified_since && is_get_or_head(request)) {
    const auto date = parse_http_date(*modified_since);
    if (date && current.modified_unix_s <= *date) {
      return Precondition::NotModified;
    }
  }
  return Precondition::Go;
}

RangeRequest evaluate_range(const Request& request, const Validators& current, std::uint64_t size_bytes) {
  constexpr std::string_view kUnit = "bytes=";
  const auto range = request.header("Range");
  if (request.method != Method::Get || request.header_count("Range") != 1 ||
      !equal_ignoring_case(range->substr(0, kUnit.size()), kUnit) || !if_range_holds(request, current)) {
    return {};
  }
  return single_range(range->substr(kUnit.size()), size_bytes).value_or(RangeRequest{});
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  std::string_view rest = trim(text);
  const auto comma = rest.find(',');
  if (comma == std::string_view::npos) {  // Sun Nov  6 08:49:37 1994
    take_word(rest, ' ');
    DateParts parts;
    parts.month = take_word(rest, ' ');
    parts.day = take_word(rest, ' ');
    parts.time = take_word(rest, ' ');
    parts.year = rest;
    return seconds_of(parts);
  }
  if (!rest.ends_with(" GMT")) {
    return std::nullopt;
  }
  rest.remove_suffix(4);
  rest.remove_prefix(comma + 1);
  const char separator = rest.contains('-') ? '-' : ' ';  // Sunday, 06-Nov-94 08:49:37 GMT, or with spaces.
  DateParts parts;
  parts.day = take_word(rest, separator);
  parts.month = take_word(rest, separator);
  parts.year = take_word(rest, ' ');
  parts.time = rest;
  return seconds_of(parts);
}

}  // namespace jamsocket::http
