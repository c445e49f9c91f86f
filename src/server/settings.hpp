// server/settings.hpp
//
// The options of a server, checked once and in the form its parts use.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

struct Settings {
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t shards = 1;
  std::uint32_t connections_max = 0;
  std::uint32_t rooms_max = 0;
  std::size_t room_id_bytes_max = 256;
  room::RoomStrategy strategy;
  room::RoomSettings room;
  session::SessionSettings session;
  HttpSettings http;
  service::EffectLimits effects;
  Milliseconds drain_timeout{30'000};
  std::string data_dir;  ///< Empty: nothing is kept.
  std::string static_dir;
  std::string client_dir;
  std::vector<std::string> client_headers;  ///< Lower case.
  std::vector<std::string> subprotocols;
  ws::DeflateOptions deflate;
  std::optional<AdminSettings> admin;

  /// @error InvalidArgument  an option out of range; the message names it and what is allowed.
  [[nodiscard]] static Result<Settings> from(const ServerOptions& options);
};

}  // namespace jamsocket::server
