#include "auth/strict_json.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace jamsocket::auth {

using nlohmann::json;

std::optional<json> parse_strict_json(std::string_view text) {
  constexpr int kDepthMax = 16;
  bool is_strict = true;
  std::vector<std::set<std::string>> names;  // Of each object that is open.
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    is_strict = is_strict && depth <= kDepthMax;
    if (event == json::parse_event_t::object_start) {
      names.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      names.pop_back();
    } else if (event == json::parse_event_t::key) {
      is_strict = is_strict && names.back().insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  json parsed = json::parse(text, watch, false);
  // RFC 8259 section 8.1: a byte order mark may be ignored; the parser does so.
  if (parsed.is_discarded() || !is_strict || text.starts_with("\xef\xbb\xbf")) {
    return std::nullopt;
  }
  return parsed;
}

}  // namespace jamsocket::auth
