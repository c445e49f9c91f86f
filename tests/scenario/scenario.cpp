#include "scenario.hpp"

#include <charconv>
#include <limits>
#include <optional>

namespace jamsocket::scenario {
namespace {

/// A word of a line; a quoted one has its escapes resolved.
struct Word {
  std::string text;
  bool is_quoted = false;
};

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? std::optional(c - 'A' + 10) : std::nullopt;
}

std::optional<std::string> from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) {
    return std::nullopt;
  }
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto high = hex_digit(digits[i]);
    const auto low = hex_digit(digits[i + 1]);
    if (!high || !low) {
      return std::nullopt;
    }
    bytes += static_cast<char>(*high * 16 + *low);
  }
  return bytes;
}

/// Takes a quoted word from the front of `line`, which begins behind the opening quote.
Result<Word> take_quoted(std::string_view& line) {
  Word word{.text = {}, .is_quoted = true};
  while (!line.empty()) {
    const char c = line.front();
    line.remove_prefix(1);
    if (c == '"') {
      return word;
    }
    if (c != '\\') {
      word.text += c;
      continue;
    }
    const char escape = line.empty() ? '\0' : line.front();
    line.remove_prefix(line.empty() ? 0 : 1);
    if (escape == 'n') {
      word.text += '\n';
    } else if (escape == 't') {
      word.text += '\t';
    } else if (escape == '"' || escape == '\\') {
      word.text += escape;
    } else if (escape == 'x') {
      const auto byte = from_hex(line.substr(0, 2));
      if (!byte || byte->empty()) {
        return fail(ErrorCode::InvalidArgument, "\\x needs two hexadecimal digits");
      }
      word.text += *byte;
      line.remove_prefix(2);
    } else {
      return fail(ErrorCode::InvalidArgument, "an escape is one of \\n \\t \\\" \\\\ \\xNN");
    }
  }
  return fail(ErrorCode::InvalidArgument, "the closing quote is missing");
}

Result<std::vector<Word>> words_of(std::string_view line) {
  std::vector<Word> words;
  while (!line.empty()) {
    const char c = line.front();
    if (c == ' ' || c == '\t' || c == '\r') {
      line.remove_prefix(1);
    } else if (c == '#') {
      break;
    } else if (c == '"') {
      line.remove_prefix(1);
      words.push_back(JAM_TRY(take_quoted(line)));
    } else {
      const std::size_t length = std::min(line.find_first_of(" \t\r"), line.size());
      words.push_back({.text = std::string(line.substr(0, length)), .is_quoted = false});
      line.remove_prefix(length);
    }
  }
  return words;
}

Result<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(ErrorCode::InvalidArgument, "a whole number is wanted, not '" + std::string(text) + "'");
  }
  return number;
}

/// The words of one line, taken from the front.
class Line {
 public:
  explicit Line(std::vector<Word> words) : words_(std::move(words)) {}

  [[nodiscard]] bool done() const { return next_ == words_.size(); }
  [[nodiscard]] bool at_quoted() const { return !done() && words_[next_].is_quoted; }

  bool take(std::string_view word) {
    if (done() || words_[next_].is_quoted || words_[next_].text != word) {
      return false;
    }
    ++next_;
    return true;
  }
  Result<std::string> take_word(std::string_view what) {
    if (done()) {
      return fail(ErrorCode::InvalidArgument, std::string(what) + " is missing");
    }
    return words_[next_++].text;
  }
  Result<std::uint32_t> take_number(std::string_view what) {
    const std::string word = JAM_TRY(take_word(what));
    return number_of(word);
  }

 private:
  std::vector<Word> words_;
  std::size_t next_ = 0;
};

Result<std::chrono::milliseconds> delay_of(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::uint32_t number = JAM_TRY(number_of(text.substr(0, digits)));
  const std::string_view unit = text.substr(digits);
  if (unit == "ms") {
    return std::chrono::milliseconds(number);
  }
  if (unit == "s") {
    return std::chrono::seconds(number);
  }
  if (unit == "min") {
    return std::chrono::minutes(number);
  }
  return fail(ErrorCode::InvalidArgument, "a delay is a number with ms, s or min, like 30s");
}

/// [to ROOM] [with query "..."]
Result<void> parse_where(Line& line, Step& step) {
  if (line.take("to")) {
    step.room = JAM_TRY(line.take_word("the room"));
  }
  if (line.take("with")) {
    if (!line.take("query")) {
      return fail(ErrorCode::InvalidArgument, "'with' is followed by: query \"...\"");
    }
    step.query = JAM_TRY(line.take_word("the query string"));
  }
  return {};
}

/// bytes [HEX]: no digits is an empty message.
Result<void> parse_bytes(Line& line, Step& step) {
  if (line.done()) {
    return {};
  }
  const auto bytes = from_hex(JAM_TRY(line.take_word("the bytes")));
  if (!bytes) {
    return fail(ErrorCode::InvalidArgument, "bytes are pairs of hexadecimal digits, like 00ff");
  }
  step.text = *bytes;
  return {};
}

Result<void> parse_gets(Line& line, Step& step) {
  if (line.take("nothing")) {
    step.kind = StepKind::GetsNothing;
  } else if (line.take("matching")) {
    step.kind = StepKind::GetsMatching;
    step.text = JAM_TRY(line.take_word("the regular expression"));
  } else if (line.take("bytes")) {
    if (line.take("of")) {
      step.kind = StepKind::GetsByteCount;
      if (!line.take("length")) {
        return fail(ErrorCode::InvalidArgument, "'of' is followed by: length NUMBER");
      }
      step.number = JAM_TRY(line.take_number("the length"));
    } else {
      step.kind = StepKind::GetsBytes;
      return parse_bytes(line, step);
    }
  } else if (line.at_quoted()) {
    step.kind = StepKind::GetsText;
    step.text = JAM_TRY(line.take_word("the text"));
  } else {
    return fail(ErrorCode::InvalidArgument, "'gets' is followed by \"text\", bytes, matching or nothing");
  }
  return {};
}

Result<void> parse_is(Line& line, Step& step) {
  if (line.take("refused")) {
    step.kind = StepKind::IsRefused;
    step.number = JAM_TRY(line.take_number("the HTTP status"));
    return parse_where(line, step);
  }
  if (line.take("closed")) {
    step.kind = StepKind::IsClosed;
    step.number = JAM_TRY(line.take_number("the close code"));
    if (line.at_quoted()) {
      step.has_text = true;
      step.text = JAM_TRY(line.take_word("the reason"));
    }
    return {};
  }
  return fail(ErrorCode::InvalidArgument, "'is' is followed by closed CODE or refused STATUS");
}

Result<void> parse_verb(Line& line, Step& step) {
  if (line.take("connects")) {
    step.kind = StepKind::Connects;
    return parse_where(line, step);
  }
  if (line.take("sends")) {
    if (line.take("bytes")) {
      step.kind = StepKind::SendsBytes;
      return parse_bytes(line, step);
    }
    step.kind = StepKind::SendsText;
    if (!line.at_quoted()) {
      return fail(ErrorCode::InvalidArgument, "'sends' is followed by \"text\" or bytes");
    }
    step.text = JAM_TRY(line.take_word("the text"));
    return {};
  }
  if (line.take("gets")) {
    return parse_gets(line, step);
  }
  if (line.take("is")) {
    return parse_is(line, step);
  }
  if (line.take("disconnects")) {
    step.kind = StepKind::Disconnects;
    return {};
  }
  if (line.take("resets")) {
    step.kind = StepKind::Resets;
    return {};
  }
  if (line.take("vanishes")) {
    step.kind = StepKind::Vanishes;
    return {};
  }
  return fail(ErrorCode::InvalidArgument,
              "a client connects, sends, gets, is closed, is refused, disconnects, resets or vanishes");
}

Result<void> parse_only(Line& line, Scenario& scenario) {
  if (line.take("native")) {
    scenario.only = Only::Native;
  } else if (line.take("module")) {
    scenario.only = Only::Module;
  } else {
    return fail(ErrorCode::InvalidArgument, "'only' is followed by native or module");
  }
  return {};
}

Result<void> parse_line(Line& line, int line_number, Scenario& scenario) {
  if (line.take("service")) {
    scenario.service = JAM_TRY(line.take_word("the service's name"));
  } else if (line.take("only")) {
    JAM_TRY_VOID(parse_only(line, scenario));
  } else if (line.take("option")) {
    Option option;
    option.name = JAM_TRY(line.take_word("the option's name"));
    option.value = JAM_TRY(line.take_word("the option's value"));
    scenario.options.push_back(std::move(option));
  } else {
    Step step;
    step.line = line_number;
    step.room = "room";
    if (line.take("after")) {
      step.kind = StepKind::After;
      const std::string delay = JAM_TRY(line.take_word("the delay"));
      step.delay = JAM_TRY(delay_of(delay));
    } else {
      step.client = JAM_TRY(line.take_word("the client"));
      JAM_TRY_VOID(parse_verb(line, step));
    }
    scenario.steps.push_back(std::move(step));
  }
  if (!line.done()) {
    const std::string extra = JAM_TRY(line.take_word("a word"));
    return fail(ErrorCode::InvalidArgument, "nothing more belongs here, but there is '" + extra + "'");
  }
  return {};
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view name, std::string_view text) {
  Scenario scenario;
  int line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const std::size_t length = std::min(text.find('\n'), text.size());
    const std::string_view raw = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    const auto at = [&](const Error& error) {
      return fail(error.code, std::string(name) + ":" + std::to_string(line_number) + ": " + error.message);
    };
    auto words = words_of(raw);
    if (!words) {
      return at(words.error());
    }
    if (words->empty()) {
      continue;
    }
    Line line(std::move(*words));
    if (const auto parsed = parse_line(line, line_number, scenario); !parsed) {
      return at(parsed.error());
    }
  }
  if (scenario.service.empty() || scenario.steps.empty()) {
    return fail(ErrorCode::InvalidArgument, std::string(name) + ": a scenario has a line 'service NAME' and steps");
  }
  return scenario;
}

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      out += "\\x" + hex(std::string_view(&c, 1));
    }
  }
  return out + '"';
}

}  // namespace jamsocket::scenario
