// base/counters.hpp
//
// What is counted: one table of names, one set of counters a shard, read from any thread.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace jamsocket {

// name, help. Names are Prometheus names without the prefix jamsocket_ and the suffix _total.
#define JAM_COUNTERS(X)                                                                                   \
  X(ConnectionsAccepted, "connections_accepted", "TCP connections accepted")                              \
  X(ConnectionsRefused, "connections_refused", "connections closed at the limit")                         \
  X(AcceptErrors, "accept_errors", "accept() failed: out of descriptors, aborted")                        \
  X(HandshakeTimeouts, "handshake_timeouts", "no whole request within the deadline")                      \
  X(TlsHandshakes, "tls_handshakes", "TLS handshakes made")                                               \
  X(TlsHandshakesFailed, "tls_handshakes_failed", "TLS handshakes that failed")                           \
  X(TlsCrowdedOut, "limit_tls_handshakes_max", "handshakes dropped for newer ones")                       \
  X(HttpRequests, "http_requests", "HTTP requests parsed, upgrades included")                             \
  X(HttpErrors, "http_errors", "HTTP requests answered 4xx or 5xx")                                       \
  X(OriginsRefused, "origins_refused", "requests of pages whose origin may not connect")                  \
  X(HostsRefused, "hosts_refused", "requests for a name that is not among auth.hosts")                    \
  X(TokensRefused, "tokens_refused", "clients and requests without a token that counts")                  \
  X(TokensOverCpu, "limit_token_cpu_ms_per_second_max", "tokens not checked at the limit")                \
  X(TokensExpired, "tokens_expired", "clients closed with 4401: their token expired")                     \
  X(TicketsIssued, "tickets_issued", "single-use tickets given")                                          \
  X(TicketsRefused, "limit_tickets_max", "tickets not given at the limit")                                \
  X(ClientsJoined, "clients_joined", "clients admitted to a room")                                        \
  X(ClientsRefused, "clients_refused", "clients a service refused at connect")                            \
  X(ClientsReturned, "clients_returned", "clients that took their old place again")                       \
  X(ClientsReplaced, "clients_replaced", "connections closed with 4409 for a newer one")                  \
  X(MessagesMissed, "messages_missed", "messages to absent clients that were not kept")                   \
  X(ClientsLeft, "clients_left", "clients that left a room, for whatever reason")                         \
  X(ClientsTimedOut, "clients_timed_out", "clients closed for silence")                                   \
  X(ClientsSlow, "clients_slow", "clients closed with 1013: their outbox was full")                       \
  X(ProtocolErrors, "protocol_errors", "clients closed with 1002, 1007, 1008 or 1009")                    \
  X(MessagesIn, "messages_in", "whole messages from clients")                                             \
  X(BytesIn, "bytes_in", "bytes read from clients")                                                       \
  X(MessagesOut, "messages_out", "messages queued to clients")                                            \
  X(BytesOut, "bytes_out", "bytes written to clients")                                                    \
  X(MessagesDeflated, "messages_deflated", "messages compressed, once for all who agreed on the same")    \
  X(Sends, "sends", "send system calls to clients")                                                       \
  X(RoomsMade, "rooms_made", "rooms made")                                                                \
  X(RoomsEnded, "rooms_ended", "rooms ended, by their shutdown policy or a failure")                      \
  X(RoomsFailed, "rooms_failed", "rooms that a trap or a limit broke, or set aside")                      \
  X(RoomsRefused, "rooms_refused", "rooms not made at a limit")                                           \
  X(RoomsBroughtBack, "rooms_brought_back", "rooms brought back from the store")                          \
  X(RoomsUnreadable, "rooms_unreadable", "times a stored room could not be read")                         \
  X(RoomsUpgraded, "rooms_upgraded", "rooms of older code taken over by newer code")                      \
  X(RoomsVerified, "rooms_verified", "checkpoints that their events, run again, led to")                  \
  X(RoomsDiverged, "rooms_diverged", "checkpoints that their events, run again, did not lead to")         \
  X(RoomsNotVerified, "rooms_not_verified", "checkpoints that could not be compared")                     \
  X(RoomsAsleep, "rooms_asleep", "times a kept room was put to sleep, clients or not")                    \
  X(Checkpoints, "checkpoints", "checkpoints taken of rooms")                                             \
  X(DiskFull, "disk_full", "clients turned away because the disk is nearly full")                         \
  X(EventsHandled, "events_handled", "service calls")                                                     \
  X(EventsFailed, "events_failed", "service calls ended by a trap or a limit")                            \
  X(CallsSlow, "calls_slow", "service calls that ended on a slow thread")                                 \
  X(CallsCrowded, "calls_crowded", "slow calls ended because there were too many")                        \
  X(CallsHastened, "limit_slow_call_idle_ms_max", "slow calls that were given a share of the processors") \
  X(CallsOverlong, "calls_overlong", "calls that held a loop for more than 50 ms")                        \
  X(EventsTrapped, "events_trapped", "service calls that trapped or threw")                               \
  X(EventsOverCpu, "events_over_cpu", "service calls over their time")                                    \
  X(EventsOverMemory, "events_over_memory", "service calls that ran out of memory")                       \
  X(EventsOverEffects, "events_over_effects", "service calls that sent too much")                         \
  X(EventsBadCall, "events_bad_call", "service calls with a host call that lied")                         \
  X(RoomsOverShare, "limit_room_cpu_ms_per_second_max", "rooms that others went before")                  \
  X(ProxyHeadersRefused, "proxy_headers_refused", "connections of proxies closed for their PROXY header") \
  X(LimitConnectionsPerAddress, "limit_connections_per_address_max", "refused with 429")                  \
  X(LimitConnectionRate, "limit_connections_per_address_per_second_max", "refused with 429")              \
  X(LimitConnectionsPerSubject, "limit_connections_per_subject_max", "refused with 429")                  \
  X(LimitRoomRate, "limit_rooms_per_address_per_minute_max", "rooms not made, 429")                       \
  X(LimitClientsPerRoom, "limit_clients_per_room_max", "joins of full rooms, 503")                        \
  X(LimitClientMessages, "limit_client_messages_per_second_max", "pauses in reading a client")            \
  X(LimitClientBytes, "limit_client_bytes_per_second_max", "pauses in reading a client")                  \
  X(LimitMemoryHigh, "limit_memory_high_bytes", "connections refused with 503")                           \
  X(LimitMemoryCritical, "limit_memory_critical_bytes", "slow clients closed with 1013")                  \
  X(LimitMessageBytes, "limit_message_bytes_max", "clients closed with 1009")                             \
  X(LimitFragments, "limit_fragments_max", "clients closed with 1008")                                    \
  X(LimitMessageTimeout, "limit_message_timeout_ms", "clients closed with 1008")                          \
  X(LimitOutboundBytes, "limit_outbound_bytes_max", "slow clients closed with 1013")                      \
  X(LimitOutboundMessages, "limit_outbound_messages_max", "slow clients closed with 1013")                \
  X(LimitCloseTimeout, "limit_close_timeout_ms", "close frames that were not answered")                   \
  X(LimitRequestLine, "limit_request_line_bytes_max", "requests answered 414")                            \
  X(LimitHeadersBytes, "limit_headers_bytes_max", "requests answered 431")                                \
  X(LimitHeaders, "limit_headers_max", "requests answered 431")                                           \
  X(LimitRoomId, "limit_room_id_bytes_max", "requests answered 400")                                      \
  X(LimitRooms, "limit_rooms_max", "rooms not made, 503")                                                 \
  X(LimitKeyUpdates, "limit_tls_key_updates_max", "connections dropped")                                  \
  X(LimitRoomsPerService, "limit_rooms_per_service_max", "rooms not made, 503")                           \
  X(LimitProxyHeader, "limit_proxy_header_bytes_max", "connections closed")                               \
  X(LimitSends, "limit_sends_per_event_max", "events that failed")                                        \
  X(LimitSendBytes, "limit_send_bytes_per_event_max", "events that failed")                               \
  X(LimitLogBytes, "limit_log_bytes_per_event_max", "events whose further lines were dropped")            \
  X(LimitLogLines, "limit_log_lines_per_event_max", "events whose further lines were dropped")            \
  X(LimitRoomMemory, "limit_room_memory_bytes_max", "events that failed")                                 \
  X(LimitRoomStack, "limit_room_stack_bytes_max", "events that failed")                                   \
  X(LimitEventCpu, "limit_event_cpu_ms_max", "events that failed")                                        \
  X(LimitEventWall, "limit_event_wall_ms_max", "events that failed")                                      \
  X(LimitInFlightEvents, "limit_room_in_flight_events_max", "times a room waited for the disk")           \
  X(LimitInFlightBytes, "limit_room_in_flight_bytes_max", "times a room waited for the disk")             \
  X(LimitCheckpointBacklog, "limit_checkpoint_backlog_bytes_max", "checkpoints put off")                  \
  X(ClientsTurnedAway, "clients_turned_away", "joins of rooms that keep failing")                         \
  X(LogLinesDropped, "limit_log_lines_per_second_max", "services' log lines dropped")                     \
  X(InboxFull, "inbox_full", "times a room's inbox was full and its clients not read")                    \
  X(OutboundBytesWaiting, "outbound_bytes_waiting", "bytes that wait for slow clients, now")              \
  X(DeflateContextBytes, "deflate_context_bytes", "memory of compression contexts, now")                  \
  X(LoopTurns, "loop_turns", "turns of the event loops")

enum class Counter : std::size_t {
#define JAM_X(name, text, help) name,
  JAM_COUNTERS(JAM_X)
#undef JAM_X
      Count_
};

/// Who ended a client's connection.
enum class CloseBy : std::uint8_t { Client, Server };

/// The close codes that are told apart; what is none of them is counted by its range.
inline constexpr std::array<std::uint16_t, 14> kCloseCodes{0,    1000, 1001, 1002, 1003, 1005, 1007,
                                                           1008, 1009, 1011, 1012, 1013, 4401, 4409};
inline constexpr std::array<std::string_view, 17> kCloseLabels{"none", "1000", "1001", "1002", "1003", "1005",
                                                               "1007", "1008", "1009", "1011", "1012", "1013",
                                                               "4401", "4409", "3xxx", "4xxx", "other"};

/// The place of `code` in kCloseLabels.
[[nodiscard]] constexpr std::size_t close_slot(std::uint16_t code) {
  for (std::size_t i = 0; i < kCloseCodes.size(); ++i) {
    if (kCloseCodes[i] == code) {
      return i;
    }
  }
  return kCloseCodes.size() + (code >= 3000 && code < 4000 ? 0 : code >= 4000 && code < 5000 ? 1 : 2);
}

/// Written by one thread, read by any: increments are relaxed loads and stores, no locked operation.
class Counters {
 public:
  void add(Counter counter, std::uint64_t by = 1) {
    auto& value = values_[static_cast<std::size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  /// A client's connection ended: with `code` said by one side, or 0 without a word.
  void closed(CloseBy by, std::uint16_t code) {
    auto& value = closes_[static_cast<std::size_t>(by)][close_slot(code)];
    value.store(value.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t closes(CloseBy by, std::size_t slot) const {
    return closes_[static_cast<std::size_t>(by)][slot].load(std::memory_order_relaxed);
  }
  /// For the few that count what is there now.
  void subtract(Counter counter, std::uint64_t by) { add(counter, ~by + 1); }
  [[nodiscard]] std::uint64_t get(Counter counter) const {
    return values_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Counter::Count_)> values_{};
  std::array<std::array<std::atomic<std::uint64_t>, kCloseLabels.size()>, 2> closes_{};
};

struct CounterInfo {
  std::string_view name;
  std::string_view help;
};

/// Limits whose counters have names of their own.
inline constexpr std::array<std::pair<Counter, std::string_view>, 8> kLimitsUnderOtherNames{
    {{Counter::ConnectionsRefused, "connections_max"},
     {Counter::HandshakeTimeouts, "handshake_timeout_ms"},
     {Counter::InboxFull, "inbox_bytes_max"},
     {Counter::CallsOverlong, "overlong_call_ms"},
     {Counter::CallsCrowded, "slow_calls_max"},
     {Counter::ClientsTurnedAway, "failures_before_back_off"},
     {Counter::DiskFull, "disk_free_bytes_min"},
     {Counter::ClientsTimedOut, "heartbeat_timeout_seconds"}}};

inline constexpr std::array<CounterInfo, static_cast<std::size_t>(Counter::Count_)> kCounterInfo{{
#define JAM_X(name, text, help) {text, help},
    JAM_COUNTERS(JAM_X)
#undef JAM_X
}};

/// The name of the limit whose hits it counts, as configuration and metrics have it; empty: of none.
[[nodiscard]] constexpr std::string_view limit_of(Counter counter) {
  constexpr std::string_view kPrefix = "limit_";
  const std::string_view name = kCounterInfo[static_cast<std::size_t>(counter)].name;
  if (name.starts_with(kPrefix)) {
    return name.substr(kPrefix.size());
  }
  for (const auto& [known, limit] : kLimitsUnderOtherNames) {
    if (known == counter) {
      return limit;
    }
  }
  return {};
}

}  // namespace jamsocket
