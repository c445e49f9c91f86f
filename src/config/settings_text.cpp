// Settings as texts: what is allowed, and values as jamsocket.toml has them.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/patterns.hpp"
#include "config/settings.hpp"

namespace jamsocket::config {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string allowed_number(const Number& number) {
  switch (number.unit) {
    case Unit::Bytes:
      return fmt::format("{} to {}, a whole number of bytes or a text like \"64KiB\"{}", format_size(number.least),
                         format_size(number.most),
                         number.step == 1 ? "" : fmt::format(", a multiple of {}", format_size(number.step)));
    case Unit::Seconds:
      return fmt::format("{} to {}, a whole number of seconds", number.least, number.most);
    case Unit::Milliseconds:
      return fmt::format("{} to {}, a whole number of milliseconds", number.least, number.most);
    case Unit::Count:
      break;
  }
  return fmt::format("{} to {}, a whole number", number.least, number.most);
}

}  // namespace

std::string allowed_text(const Entry& entry) {
  if (const Number* number = std::get_if<Number>(&entry.field)) {
    return allowed_number(*number);
  }
  if (const Text* text = std::get_if<Text>(&entry.field)) {
    return std::string(text->allowed);
  }
  return fmt::format("a list of {}", std::get<TextList>(entry.field).allowed);
}

std::string value_as_toml(const Entry& entry, const Settings& settings) {
  if (const Number* number = std::get_if<Number>(&entry.field)) {
    const std::uint64_t value = number->get(settings);
    return number->unit == Unit::Bytes ? quoted(format_size(value)) : std::to_string(value);
  }
  Settings copy = settings;  // The accessors give references to change.
  if (const Text* text = std::get_if<Text>(&entry.field)) {
    return quoted(text->field(copy));
  }
  std::vector<std::string> texts = std::get<TextList>(entry.field).field(copy);
  std::ranges::transform(texts, texts.begin(), quoted);
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

}  // namespace jamsocket::config
