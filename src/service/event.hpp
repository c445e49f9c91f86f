// service/event.hpp
//
// What happens to a room: plain data, the whole input of one service call.
//
// A room is a pure function of (service, room id, seed, events): time and randomness are part of
// the event, nothing else is asked of the world during a call.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jamsocket/service.hpp"

namespace jamsocket::service {

enum class EventKind : std::uint8_t { Connect = 1, Disconnect = 2, Text = 3, Binary = 4, Timer = 5 };

/// "connect", "disconnect", "message", "binary", "timer": the callback's name.
[[nodiscard]] std::string_view to_string(EventKind kind);

/// Told by an instance, on the thread of the call, that the call takes long.
class CallMonitor {
 public:
  enum class Verdict : std::uint8_t {
    GoOn,
    End,  ///< The call must end as one over its budget.
  };
  virtual ~CallMonitor() = default;
  /// From the second millisecond of a call on, about once a millisecond. May change which thread runs
  /// everything else; the call itself stays where it is.
  virtual Verdict call_runs_long() = 0;
};

/// What a service may learn of a client at `connect`.
struct ConnectInfo {
  std::string query;                                          ///< Without "?", as sent.
  std::string remote_address;                                 ///< Without port.
  std::vector<std::pair<std::string, std::string>> headers;   ///< Names in lower case: the configured ones, and
                                                              ///< kSubprotocolHeader if there is one.
  std::string subject{};                                      ///< Of its token; empty: none.
  std::vector<std::pair<std::string, std::string>> claims{};  ///< Of its token: texts as they are, else JSON.
};

/// The name under which ConnectInfo's headers hold the subprotocols that the client offers.
inline constexpr std::string_view kSubprotocolHeader = "sec-websocket-protocol";

/// Whether the client offers `name`, exactly, among its subprotocols.
[[nodiscard]] bool offers_subprotocol(const ConnectInfo& info, std::string_view name);

struct Event {
  EventKind kind = EventKind::Timer;
  ClientId client{};                          ///< Unset for Timer.
  std::string_view payload{};                 ///< Text (valid UTF-8) or Binary; valid during the call.
  const ConnectInfo* connect_info = nullptr;  ///< Set for Connect; valid during the call.
  std::int64_t time_ms = 0;                   ///< Unix time; never goes back within a room.
  std::uint64_t number = 0;                   ///< 1, 2, ... within the room; 0 is its start.
  CallMonitor* monitor = nullptr;             ///< May be null; no part of what happened.
  bool replayed = false;                      ///< Ran within its budgets before: they do not count again.
};

/// A room's secret, from which its random bytes come.
using Seed = std::array<std::byte, 32>;

/// What a room starts from.
struct RoomStart {
  std::string_view room_id{};  ///< Valid UTF-8; valid during the call.
  Seed seed{};
  std::int64_t time_ms = 0;
  CallMonitor* monitor = nullptr;  ///< May be null.
  std::string_view version{};      ///< Of the code to run; empty: the newest.
};

}  // namespace jamsocket::service
