// server/settings.hpp
//
// The options of a server, checked once and in the form its parts use.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "auth/origins.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "http/request_parser.hpp"
#include "jamsocket/server.hpp"
#include "room/policy.hpp"
#include "room/room.hpp"
#include "service/effects.hpp"
#include "session/client_session.hpp"

namespace jamsocket::server {

struct HttpSettings {
  http::RequestLimits request;
  Milliseconds request_timeout{10'000};  ///< From accept, or from the last answer, to a whole request.
  Milliseconds linger_timeout{2'000};
};

struct AdminSettings {
  std::string host;
  std::uint16_t port = 0;
  std::string token_file;
};

/// What can differ from one service to the next.
struct ServiceSettings {
  room::RoomStrategy strategy;
  room::RoomSettings room;
  std::uint32_t rooms_max = 0;
  std::vector<std::string> client_headers;  ///< Lower case.
  std::vector<std::string> subprotocols;
  auth::OriginRules origins;
  std::string static_dir;  ///< Of a named service: served at /{service}/.

  /// Of the options, those about rooms.
  /// @error InvalidArgument  an option out of range; the message names it and what is allowed.
  [[nodiscard]] static Result<ServiceSettings> from(const ServerOptions& options);
};

/// For rooms that keep failing; see ServerLimits.
struct BackOff {
  std::uint32_t failures = 3;
  Milliseconds first{1'000};
  Milliseconds most{60'000};
};

struct Settings {
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t shards = 1;
  auth::HostRules hosts;
  std::uint32_t connections_max = 0;
  std::uint32_t rooms_max = 0;  ///< Of all services together.
  std::size_t room_id_bytes_max = 256;
  session::SessionSettings session;
  HttpSettings http;
  service::EffectLimits effects;
  Milliseconds overlong_call{50};
  BackOff back_off;
  Milliseconds drain_timeout{30'000};
  room::Durability durability = room::Durability::None;
  std::string data_dir;  ///< Empty: nothing is kept.
  std::string static_dir;
  std::string client_dir;
  ws::DeflateOptions deflate;
  std::optional<AdminSettings> admin;

  /// @error InvalidArgument  an option out of range; the message names it and what is allowed.
  [[nodiscard]] static Result<Settings> from(const ServerOptions& options);
};

}  // namespace jamsocket::server
