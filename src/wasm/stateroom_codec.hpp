// wasm/stateroom_codec.hpp
//
// The messages of Stateroom 1/0: bincode 1 with its defaults. Bytes in, values out; docs/abi.md has a
// worked example.
//
// Integers are little-endian and fixed, an enum is its number as a u32, a list is its length as a u64
// and its elements. Bytes behind a value are ignored, as the original does.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "jamsocket/service.hpp"

namespace jamsocket::wasm::stateroom {

/// The front of a message to the guest; a message event's payload follows it.
class EventHead {
 public:
  static EventHead init() { return EventHead(0); }
  static EventHead connect(ClientId client) { return EventHead(1).add_u32(client); }
  static EventHead disconnect(ClientId client) { return EventHead(2).add_u32(client); }
  static EventHead text(ClientId sender, std::size_t length) {
    return EventHead(3).add_u32(sender).add(1, 4).add(length, 8);
  }
  static EventHead bytes(ClientId sender, std::size_t length) {
    return EventHead(3).add_u32(sender).add(0, 4).add(length, 8);
  }
  static EventHead timer() { return EventHead(4); }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  static constexpr std::size_t kBytesMax = 20;

  explicit EventHead(std::uint32_t kind) { add(kind, 4); }
  EventHead& add_u32(ClientId client) { return add(static_cast<std::uint32_t>(client), 4); }
  EventHead& add(std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes_[size_++] = static_cast<char>(value >> (8 * i));
    }
    return *this;
  }

  std::array<char, kBytesMax> bytes_{};
  std::size_t size_ = 0;
};

enum class RecipientKind : std::uint8_t { Everyone = 0, Client = 1, EveryoneExcept = 2 };

/// A message from the guest.
struct Command {
  enum class Kind : std::uint8_t { Message = 0, SetTimer = 1 };

  Kind kind = Kind::Message;
  RecipientKind recipient = RecipientKind::Everyone;  ///< Message.
  std::uint32_t client = 0;                           ///< Message, unless to everyone.
  bool is_text = false;                               ///< Message.
  std::string_view payload{};                         ///< Message; a part of what was decoded, not validated.
  std::uint32_t delay_ms = 0;                         ///< SetTimer; 0 means at once.

  /// The same recipient as the host has it; nothing for a client that cannot be: numbers go from 1 to 2^31 - 1.
  [[nodiscard]] std::optional<Recipient> resolved() const;
};

/// @return nothing if the bytes are not a command: too short for what they announce, or an unknown kind.
[[nodiscard]] std::optional<Command> decode_command(std::string_view bytes);

}  // namespace jamsocket::wasm::stateroom
