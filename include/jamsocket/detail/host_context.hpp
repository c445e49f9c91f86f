// jamsocket/detail/host_context.hpp
//
// ClientInfo and Context as a native service sees them. detail/guest_context.hpp has the same members
// for modules: whoever changes one changes both.

#pragma once

#include <jamsocket/service.hpp>

namespace jamsocket {

/// What a service can learn of a client while its `connect` runs; not valid afterwards.
class ClientInfo {
 public:
  /// The query string of the upgrade request without its "?", as sent (still percent-encoded).
  [[nodiscard]] virtual std::string_view query() const = 0;
  /// The peer's address without port, e.g. "127.0.0.1" or "::1".
  [[nodiscard]] virtual std::string_view remote_address() const = 0;
  /// A header of the upgrade request, if the server's configuration passes it on (`client_headers`).
  /// The name is matched without regard to case. "Sec-WebSocket-Protocol" is always passed on: the
  /// subprotocols that the client offers, the one it prefers first, separated by ", ".
  [[nodiscard]] virtual std::optional<std::string_view> header(std::string_view name) const = 0;
  /// Who the client is, by its token: the claim `sub`. Empty: it brought none, or the server asks for none.
  [[nodiscard]] virtual std::string_view subject() const = 0;
  /// A claim of the token, which was checked: a text as it is, anything else as JSON ("3", "[1,2]").
  [[nodiscard]] virtual std::optional<std::string_view> claim(std::string_view name) const = 0;

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
  /// Inside `connect`: the client is told that `name` is spoken here, instead of what the server's
  /// configuration would choose (`subprotocols`). The first that is accepted counts.
  /// @return false, and nothing happens, if the client does not offer it or one is accepted already.
  virtual bool accept_subprotocol(std::string_view name) = 0;
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
