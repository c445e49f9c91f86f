// jamsocket/service.hpp
//
// What a service includes: the types of its callbacks and the Context it answers through.
//
// A service is one ordinary class. Only the constructor `(std::string_view room_id, Context&)` is
// required; `connect`, `disconnect`, `message`, `binary` and `timer` are found by concept. The same
// source compiles into a native server and into a WebAssembly module. No dependencies but the
// standard library.

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

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

/// What a service can learn of a client while its `connect` runs; not valid afterwards.
class ClientInfo {
 public:
  /// The query string of the upgrade request without its "?", as sent (still percent-encoded).
  [[nodiscard]] virtual std::string_view query() const = 0;
  /// The peer's address without port, e.g. "127.0.0.1" or "::1".
  [[nodiscard]] virtual std::string_view remote_address() const = 0;
  /// A header of the upgrade request, if the server's configuration passes it on (`client_headers`).
  /// The name is matched without regard to case.
  [[nodiscard]] virtual std::optional<std::string_view> header(std::string_view name) const = 0;

 protected:
  ClientInfo() = default;
  ~ClientInfo() = default;
  ClientInfo(const ClientInfo&) = default;
  ClientInfo& operator=(const ClientInfo&) = default;
};

/// A service's way to act. Everything takes effect, in order, after the callback has returned; the
/// clock stands still inside a callback. A Context is valid during the callback only.
class Context {
 public:
  /// Sends a text message. `text` must be valid UTF-8. A recipient who is not there is nobody.
  virtual void send_message(Recipient recipient, std::string_view text) = 0;
  /// Sends a binary message.
  virtual void send_binary(Recipient recipient, Bytes bytes) = 0;
  /// Calls `timer` once after `delay_ms`. A room has one timer: this replaces it, 0 cancels it.
  virtual void set_timer(std::uint32_t delay_ms) = 0;
  /// Ends a client's connection. `code`: 1000 or 3000-4999 (a service's own codes are 4000-4999);
  /// `reason`: at most 123 bytes of UTF-8. What was sent to the client before still reaches it.
  virtual void close(ClientId client, std::uint16_t code, std::string_view reason) = 0;
  /// Inside `connect`: the client does not get in. Its upgrade is answered 403 with `reason` as the
  /// body, what the callback sent to it is dropped, and `disconnect` is not called for it.
  virtual void refuse(std::string_view reason) = 0;
  /// The event's time, in milliseconds since 1970-01-01 UTC; never goes back within a room.
  [[nodiscard]] virtual std::int64_t now() = 0;
  /// Fills `bytes` with random bytes: unpredictable to clients, the same again when a room is replayed.
  virtual void random(std::span<std::byte> bytes) = 0;
  /// Writes a line to the server's log, marked with the room.
  virtual void log(LogLevel level, std::string_view text) = 0;
  /// The room's id, as in `/ws/{room}` after decoding.
  [[nodiscard]] virtual std::string_view room_id() = 0;

 protected:
  Context() = default;
  ~Context() = default;
  Context(const Context&) = default;
  Context& operator=(const Context&) = default;
};

}  // namespace jamsocket

#include <jamsocket/detail/service_concepts.hpp>

#include <jamsocket/wasm.hpp>
