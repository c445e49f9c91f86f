// tests/scenario/scenario.hpp
//
// A scenario: who does what in a room and what everyone then gets, as plain text that anyone can write.
//
// The language is described in tests/scenario/README.md.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jamsocket::scenario {

enum class StepKind : std::uint8_t {
  Connects,
  IsRefused,  ///< `number` is the HTTP status.
  SendsText,
  SendsBytes,
  GetsText,
  GetsBytes,
  GetsMatching,   ///< `text` is an ECMAScript regular expression for all of a text message.
  GetsByteCount,  ///< `number` is the length of a binary message.
  GetsNothing,
  IsClosed,  ///< `number` is the code; `text` the reason, if `has_text`.
  Disconnects,
  Resets,    ///< The connection ends with a TCP reset.
  Vanishes,  ///< The connection stays open and is never read or written again.
  After,     ///< `delay` of virtual time passes.
};

struct Step {
  StepKind kind = StepKind::After;
  int line = 0;
  std::string client;
  std::string text;  ///< Of messages: as it goes on the wire. Of a close: the reason.
  bool has_text = false;
  std::uint32_t number = 0;
  std::string room;   ///< Connects, IsRefused.
  std::string query;  ///< Connects, IsRefused; without "?".
  std::chrono::milliseconds delay{};
};

struct Option {
  std::string name;
  std::string value;
};

/// Where a scenario makes sense.
enum class Only : std::uint8_t { Both, Native, Module };

struct Scenario {
  std::string service;
  Only only = Only::Both;
  std::vector<Option> options;  ///< Of the server: room_strategy, shutdown_policy, ...
  std::vector<Step> steps;
};

/// @param name  of the file, for messages.
/// @error InvalidArgument  "NAME:LINE: what is wrong and what is allowed".
[[nodiscard]] Result<Scenario> parse_scenario(std::string_view name, std::string_view text);

/// `text` with what is not printable ASCII as \xNN, for messages.
[[nodiscard]] std::string quoted(std::string_view text);
/// `bytes` as hexadecimal digits.
[[nodiscard]] std::string hex(std::string_view bytes);

}  // namespace jamsocket::scenario
