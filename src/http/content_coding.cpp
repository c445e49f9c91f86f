#include "http/content_coding.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

constexpr unsigned kWeightMax = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of "0.25", in thousandths. What is no weight, and 1, counts as none given: the most.
unsigned thousandths(std::string_view text) {
  if (!text.starts_with('0') || (text.size() > 1 && text[1] != '.')) {
    return kWeightMax;
  }
  unsigned weight = 0;
  unsigned place = kWeightMax / 10;
  for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (!is_digit(digit)) {
      return kWeightMax;
    }
    weight += place * static_cast<unsigned>(digit - '0');
    place /= 10;
  }
  return weight;
}

unsigned weight_among(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = take_element(parameters, ';');
    if (parameter.size() > 2 && equal_ignoring_case(parameter.substr(0, 2), "q=")) {
      return thousandths(parameter.substr(2));
    }
  }
  return kWeightMax;
}

bool is_same_coding(std::string_view named, std::string_view coding) {
  return equal_ignoring_case(named, coding) || (coding == "gzip" && equal_ignoring_case(named, "x-gzip"));
}

// The weight that the list gives to what is named so; nullopt if it does not name it.
std::optional<unsigned> weight_of(std::string_view accepted, std::string_view coding) {
  while (!accepted.empty()) {
    std::string_view element = take_element(accepted);
    const std::string_view name = take_element(element, ';');
    if (is_same_coding(name, coding)) {
      return weight_among(element);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view preferred_coding(const Request& request, std::span<const std::string_view> available) {
  const std::string accepted = request.header_joined("Accept-Encoding");
  const unsigned others = weight_of(accepted, "*").value_or(0);
  std::string_view best;
  unsigned best_weight = 0;
  for (const std::string_view coding : available) {
    const unsigned weight = weight_of(accepted, coding).value_or(others);
    if (weight > best_weight) {
      best = coding;
      best_weight = weight;
    }
  }
  return weight_of(accepted, "identity").value_or(0) > best_weight ? std::string_view() : best;
}

}  // namespace jamsocket::http
