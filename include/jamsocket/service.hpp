// jamsocket/service.hpp
//
// What a service includes: the types of its callbacks and the Context it answers through.
//
// A service is one ordinary class. Only the constructor `(std::string_view room_id, Context&)` is
// required; `connect`, `disconnect`, `message`, `binary` and `timer` are found by concept. The same
// source compiles into a native server and into a WebAssembly module. A native service whose rooms
// are kept also has `save(Writer&) const` and `load(Reader&)`: see state.hpp. No dependencies but
// the standard library.

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace jamsocket {

/// A client of one room. Ids count from 1 in each room and are never used twice in a room's life.
enum class ClientId : std::uint32_t {};

/// The bytes of a binary message; valid during the callback only.
using Bytes = std::span<const std::byte>;

/// "Everyone in the room", the sender of the event included.
struct Broadcast {
  friend bool operator==(Broadcast, Broadcast) = default;
};
inline constexpr Broadcast broadcast{};

/// "Everyone in the room but one client".
struct EveryoneExcept {
  ClientId client{};
  friend bool operator==(EveryoneExcept, EveryoneExcept) = default;
};
[[nodiscard]] constexpr EveryoneExcept everyone_except(ClientId client) { return {client}; }

/// Who gets a message: everyone, one client, or everyone but one.
///
/// On the wire of the module ABI a recipient is an i32: 0 everyone, n client n, -n everyone but n.
class Recipient {
 public:
  // Implicit on purpose: `context.send_message(broadcast, text)` and `context.send_message(client, text)`.
  constexpr Recipient(Broadcast) : code_(0) {}
  constexpr Recipient(ClientId client) : code_(static_cast<std::int32_t>(client)) {}
  constexpr Recipient(EveryoneExcept except) : code_(-static_cast<std::int32_t>(except.client)) {}

  /// The recipient that the ABI's number means; any i32 is one.
  [[nodiscard]] static constexpr Recipient from_code(std::int32_t code) { return Recipient(code); }
  [[nodiscard]] constexpr std::int32_t code() const { return code_; }

  friend constexpr bool operator==(Recipient, Recipient) = default;

 private:
  explicit constexpr Recipient(std::int32_t code) : code_(code) {}
  std::int32_t code_;
};

enum class LogLevel : std::uint32_t { Debug = 0, Info = 1, Warn = 2, Error = 3 };

}  // namespace jamsocket

// ClientInfo and Context: interfaces where a server calls the service, and concrete classes with the
// same members inside a module.
#ifdef __wasm__
#include <jamsocket/detail/guest_context.hpp>
#else
#include <jamsocket/detail/host_context.hpp>
#endif

#include <jamsocket/state.hpp>

#include <jamsocket/detail/service_concepts.hpp>

#include <jamsocket/wasm.hpp>
