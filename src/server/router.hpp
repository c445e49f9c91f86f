// server/router.hpp
//
// What a request is for, decided without I/O: an answer, or something a shard has to do first.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/address.hpp"
#include "base/counters.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "server/services.hpp"
#include "server/settings.hpp"
#include "server/static_files.hpp"
#include "service/event.hpp"
#include "ws/deflate_offer.hpp"

namespace jamsocket::server {

struct Answer {
  StaticResponse response;
  enum class Then : std::uint8_t { KeepAlive, Close } then = Then::KeepAlive;
  std::optional<Counter> refused_as{};  ///< It is a refusal of that kind, to be counted and logged.
};
struct MakeRoom {
  std::string service;  ///< HostedService::path_name, here and below.
  std::string room_id;
  Credential credential{};
  IpAddress maker{};  ///< Whose rooms are counted; nobody's: not.
};
struct GenerateRoom {
  std::string service;
  Credential credential{};
  IpAddress maker{};  ///< Whose rooms are counted; nobody's: not.
};
/// A single-use ticket for the room, against a token.
struct IssueTicket {
  std::string service;
  std::string room_id;
  Credential credential{};
};
/// What the room's shard is to know of a newcomer beside the room.
struct Admission {
  std::optional<std::string> ticket;  ///< To be used up first; one that is empty is wrong like any other.
  bool awaits_token = false;          ///< Its first message is to bring the token.
  std::int64_t expires_ms = 0;        ///< When its token does; 0: never.
  IpAddress maker{};                  ///< Whose rooms are counted.
  std::string resume;                 ///< By which it comes back; empty: none.
};
struct JoinRoom {
  std::string service;
  std::string room_id;
  std::string response;  ///< The 101.
  std::unique_ptr<service::ConnectInfo> info;
  std::optional<ws::DeflateAgreement> deflate;
  Credential credential{};
  Admission admission{};
};
using Decision = std::variant<Answer, MakeRoom, GenerateRoom, IssueTicket, JoinRoom>;

/// Where files come from; null: nothing is served there.
struct Files {
  const StaticFiles* site = nullptr;    ///< At /.
  const StaticFiles* client = nullptr;  ///< At /client.
};

/// `remote_address`: the client's, for the service's ClientInfo.
[[nodiscard]] Decision decide(const http::Request& request, const std::string& remote_address, const Settings& settings,
                              const Files& files, const ServiceTable& services);

/// One sentence as text/plain.
[[nodiscard]] http::Response room_made(const std::string& room_id);
[[nodiscard]] http::Response room_exists();
[[nodiscard]] http::Response too_many_rooms(const Settings& settings, const HostedService& service);
[[nodiscard]] std::string room_rests(Milliseconds rest);
inline constexpr std::string_view kServiceUnknown = "The requested service does not exist.";
inline constexpr std::string_view kServiceUnnamed = "Rooms of this server are at /ws/{service}/{room}.";
inline constexpr std::string_view kServiceRemoved = "The service was removed from the server.";
inline constexpr std::string_view kRoomUnknown = "The requested room does not exist.";
inline constexpr std::string_view kTicketRefused =
    "There is no such ticket for this room: it was used, is too old, or was never given.";
inline constexpr std::string_view kTokenNeeded = "This service asks for a token.";
inline constexpr std::string_view kTokensBusy = "The server has too many tokens to check; try later.";
inline constexpr std::string_view kRoomFull = "The room has as many clients as it may have; try later.";
inline constexpr std::string_view kTooManyOfAddress =
    "Your address has as many connections as it may have, or opens them too fast; try later.";
inline constexpr std::string_view kTooManyOfSubject =
    "You have as many connections as you may have; close one, or try later.";
inline constexpr std::string_view kTooManyRoomsOfAddress = "Your address has made many rooms just now; try later.";
inline constexpr std::string_view kForwardedGarbage =
    "The header in which the proxy names its client holds no address where one must be.";
inline constexpr std::string_view kShortOfMemory = "The server is short of memory; try later.";
inline constexpr std::string_view kRoomUnreadable =
    "What is stored of the room cannot be read; the server's log says why.";
inline constexpr std::string_view kRoomTakenOut = "An operator is changing the room; try again in a moment.";
inline constexpr std::string_view kDiskFull = "The server's disk is nearly full; try later.";
inline constexpr std::string_view kStopping = "The server is stopping; try another or try later.";

}  // namespace jamsocket::server
