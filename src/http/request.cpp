#include "http/request.hpp"

#include <algorithm>

#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](char a, char b) { return lower(a) == lower(b); });
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [name](const Header& header) { return equal_ignoring_case(header.name, name); });
  return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->value);
}

std::size_t Request::header_count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(headers, [name](const Header& header) { return equal_ignoring_case(header.name, name); }));
}

std::string Request::header_joined(std::string_view name) const {
  std::string joined;
  for (const Header& header : headers) {
    if (equal_ignoring_case(header.name, name)) {
      joined += joined.empty() ? "" : ", ";
      joined += header.value;
    }
  }
  return joined;
}

bool Request::header_lists(std::string_view name, std::string_view token) const {
  for (const Header& header : headers) {
    if (!equal_ignoring_case(header.name, name)) {
      continue;
    }
    std::string_view rest = header.value;
    while (!rest.empty()) {
      if (equal_ignoring_case(take_element(rest), token)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace jamsocket::http
