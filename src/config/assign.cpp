#include "config/assign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/log.hpp"
#include "config/patterns.hpp"

namespace jamsocket::config {
namespace {

constexpr std::size_t kListElementsMax = 64;

std::string refused(const Entry& entry, std::string_view shown) {
  return fmt::format("{} is {}; allowed: {}", entry.key, shown, allowed_text(entry));
}

std::string shown_text(std::string_view text) { return fmt::format("'{}'", escape_for_log(text, 80)); }

std::string assign_number(const Entry& entry, const Number& number, std::optional<std::uint64_t> value,
                          std::string_view shown, Settings& settings) {
  if (!value || *value < number.least || *value > number.most || *value % number.step != 0) {
    return refused(entry, shown);
  }
  number.set(settings, *value);
  return {};
}

std::string assign_plain_text(const Entry& entry, const Text& field, std::string_view text, const std::string& folder,
                              Settings& settings) {
  if (text.find("${") != std::string_view::npos) {
    return fmt::format("{} is {}; variables are not replaced, write the value itself", entry.key, shown_text(text));
  }
  if (!field.is_allowed(text)) {
    return refused(entry, shown_text(text));
  }
  std::string value(text);
  if (field.path != PathKind::NotAPath) {
    value = (std::filesystem::path(folder) / value).lexically_normal().string();
  }
  if (field.path == PathKind::ExistingFolder) {
    std::error_code error;
    if (!std::filesystem::is_directory(value, error)) {
      return fmt::format("{} is {}, which is not a folder; allowed: {}", entry.key, shown_text(value),
                         allowed_text(entry));
    }
  }
  field.field(settings) = std::move(value);
  return {};
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

}  // namespace

std::string assign_text(const Entry& entry, std::string_view text, const std::string& folder, Settings& settings) {
  if (const Number* number = std::get_if<Number>(&entry.field)) {
    const auto value = number->unit == Unit::Bytes ? parse_size(text) : parse_whole_number(text);
    return assign_number(entry, *number, value, shown_text(text), settings);
  }
  if (const Text* field = std::get_if<Text>(&entry.field)) {
    return assign_plain_text(entry, *field, text, folder, settings);
  }
  return assign_list(entry, split_at_commas(text), settings);
}

std::string assign_integer(const Entry& entry, std::int64_t value, Settings& settings) {
  const Number* number = std::get_if<Number>(&entry.field);
  if (number == nullptr) {
    const Text* field = std::get_if<Text>(&entry.field);
    if (field != nullptr && field->numbers == Text::Numbers::Accepted) {
      return assign_plain_text(entry, *field, std::to_string(value), {}, settings);
    }
    return wrong_type(entry, fmt::format("the number {}", value));
  }
  const std::string shown = std::to_string(value);
  return value < 0 ? refused(entry, shown)
                   : assign_number(entry, *number, static_cast<std::uint64_t>(value), shown, settings);
}

std::string assign_string(const Entry& entry, std::string_view text, const std::string& folder, Settings& settings) {
  if (const Number* number = std::get_if<Number>(&entry.field)) {
    return number->unit == Unit::Bytes ? assign_number(entry, *number, parse_size(text), shown_text(text), settings)
                                       : wrong_type(entry, fmt::format("the text {}", shown_text(text)));
  }
  if (const Text* field = std::get_if<Text>(&entry.field)) {
    return assign_plain_text(entry, *field, text, folder, settings);
  }
  return wrong_type(entry, fmt::format("the text {}", shown_text(text)));
}

std::string assign_list(const Entry& entry, const std::vector<std::string>& texts, Settings& settings) {
  const TextList* list = std::get_if<TextList>(&entry.field);
  if (list == nullptr) {
    return wrong_type(entry, "a list");
  }
  if (texts.size() > kListElementsMax) {
    return refused(entry, fmt::format("a list of {}, more than {}", texts.size(), kListElementsMax));
  }
  const auto bad = std::ranges::find_if_not(texts, list->is_allowed);
  if (bad != texts.end()) {
    return fmt::format("{} has {}; allowed: {}", entry.key, shown_text(*bad), allowed_text(entry));
  }
  list->field(settings) = texts;
  return {};
}

std::string wrong_type(const Entry& entry, std::string_view type) { return refused(entry, type); }

}  // namespace jamsocket::config
