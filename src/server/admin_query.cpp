#include "server/admin_query.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "http/target.hpp"

namespace jamsocket::server {
namespace {

constexpr std::size_t kValueBytesMax = 1024;

bool is_among(std::string_view name, std::string_view names) {
  while (!names.empty()) {
    const std::string_view each = names.substr(0, names.find(' '));
    if (each == name) {
      return true;
    }
    names.remove_prefix(each.size() == names.size() ? each.size() : each.size() + 1);
  }
  return false;
}

}  // namespace

Result<AdminQuery> AdminQuery::parse(std::string_view query, std::string_view allowed) {
  AdminQuery parsed;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() == query.size() ? pair.size() : pair.size() + 1);
    const std::string_view name = pair.substr(0, pair.find('='));
    if (pair.empty()) {
      continue;
    }
    if (!is_among(name, allowed)) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("'{}' in the query means nothing here; allowed: {}.", escape_for_log(name, 80),
                              allowed.empty() ? "no query" : allowed));
    }
    const std::string_view encoded = pair.substr(name.size() == pair.size() ? name.size() : name.size() + 1);
    std::optional<std::string> value = http::decode_text(encoded, kValueBytesMax);
    if (!value) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("{} is not allowed; allowed: at most {} bytes of UTF-8 without control characters, "
                              "percent-encoded.",
                              name, kValueBytesMax));
    }
    if (!parsed.values_.emplace(name, *std::move(value)).second) {
      return fail(ErrorCode::InvalidArgument, fmt::format("{} is in the query twice.", name));
    }
  }
  return parsed;
}

std::string AdminQuery::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

}  // namespace jamsocket::server
