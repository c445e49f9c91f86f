#include "http/content_coding.hpp"

#include <algorithm>
#include <string>

#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

// "q=0", "q=0.0", "Q=0.000" are never; anything else counts as yes.
bool is_weight_zero(std::string_view parameter) {
  if (parameter.size() < 3 || !equal_ignoring_case(parameter.substr(0, 2), "q=")) {
    return false;
  }
  return parameter.substr(2).find_first_not_of("0.") == std::string_view::npos;
}

}  // namespace

bool accepts_coding(const Request& request, std::string_view coding) {
  const std::string accepted = request.header_joined("Accept-Encoding");
  std::string_view rest = accepted;
  bool by_star = false;
  while (!rest.empty()) {
    std::string_view element = take_element(rest);
    const std::string_view name = take_element(element, ';');
    const bool is_wanted = !is_weight_zero(take_element(element, ';'));
    if (equal_ignoring_case(name, coding)) {
      return is_wanted;
    }
    by_star = by_star || (name == "*" && is_wanted);
  }
  return by_star;
}

}  // namespace jamsocket::http
