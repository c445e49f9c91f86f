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
#include "auth/tickets.hpp"
#include "auth/token.hpp"
#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/endpoint.hpp"
#include "base/keyed_limit.hpp"
#include "base/result.hpp"
#include "http/forwarded.hpp"
#include "http/request_parser.hpp"
#include "io/listener.hpp"
#include "io/tls_context.hpp"
#include "io/tls_session.hpp"
#include "jamsocket/server.hpp"
#include "room/policy.hpp"
#include "room/room.hpp"
#include "server/credentials.hpp"
#include "server/loop_threads.hpp"
#include "service/effects.hpp"
#include "session/client_session.hpp"
#include "store/sqlite_store.hpp"

namespace jamsocket::server {

struct HttpSettings {
  http::RequestLimits request;
  Milliseconds request_timeout{10'000};  ///< From accept, or from the last answer, to a whole request.
  Milliseconds linger_timeout{2'000};
};

struct TlsSettings {
  std::optional<io::TlsFiles> files;  ///< None: connections are plain.
  io::TlsLimits limits;
  std::size_t handshakes_max = 16'384;
};

/// Of a kept room's file, packed or not.
struct RoomFileLimits {
  std::size_t import_bytes_max = 0;  ///< Brought in.
  std::size_t export_bytes_max = 0;  ///< Given out.
};

struct AdminSettings {
  std::string host;
  std::uint16_t port = 0;
  std::string token_file;
  RoomFileLimits room_files{};
};

/// Whom we believe when it says for whom it speaks, and how it says so.
struct ProxySettings {
  std::vector<IpNetwork> trusted;
  bool trusts_unix = false;         ///< All that come by a unix-domain socket.
  bool header_is_required = false;  ///< Of the PROXY protocol.
  std::size_t header_bytes_max = 4096;
  std::optional<http::ForwardedHeader> forwarded;

  [[nodiscard]] bool trusts(const IpAddress& address) const;
  [[nodiscard]] bool trusts(const io::PeerAddress& peer) const;
};

/// Beyond which the process sheds load; 0: never.
struct MemoryMarks {
  std::size_t high_bytes = 0;      ///< New connections are refused.
  std::size_t critical_bytes = 0;  ///< The clients that read slowest are closed.

  [[nodiscard]] bool are_set() const { return high_bytes != 0 || critical_bytes != 0; }
};

struct TokenSettings {
  enum class Mode : std::uint8_t { Off, Optional, Required } mode = Mode::Off;
  std::string keys;  ///< Path.
  auth::TokenRules rules;
  TokenCarriers carriers;
  Milliseconds message_timeout{5'000};
  std::size_t message_bytes_max = 8192;
  auth::TicketLimits tickets;
};

/// What can differ from one service to the next.
struct ServiceSettings {
  room::RoomStrategy strategy;
  room::RoomSettings room;
  std::uint32_t rooms_max = 0;
  std::vector<std::string> client_headers;  ///< Lower case.
  std::vector<std::string> subprotocols;
  auth::OriginRules origins;
  TokenSettings tokens;
  std::string static_dir;  ///< Of a named service: served at /{service}/.

  /// Of the options, those about rooms.
  /// @error InvalidArgument  an option out of range; the message names it and what is allowed.
  [[nodiscard]] static Result<ServiceSettings> from(const ServerOptions& options);
};

/// Calls that go on beside their loop; see ServerLimits.
struct SlowCallLimits {
  std::size_t count_max = 64;  ///< Of one loop.
  Milliseconds idle_max{5'000};
};

/// For rooms that keep failing; see ServerLimits.
struct BackOff {
  std::uint32_t failures = 3;
  Milliseconds first{1'000};
  Milliseconds most{60'000};
};

struct Settings {
  std::vector<Endpoint> endpoints;
  mode_t unix_mode = 0660;
  Scheduling scheduling = Scheduling::Batch;
  std::size_t unsent_bytes_max = 0;  ///< Of one client, in the kernel.
  ProxySettings proxies;
  KeyedLimit::Limits connections_per_address;
  KeyedLimit::Limits connections_per_subject;
  KeyedLimit::Limits rooms_per_address;
  MemoryMarks memory;
  std::uint32_t shards = 1;
  auth::HostRules hosts;
  std::uint32_t connections_max = 0;
  std::uint32_t rooms_max = 0;  ///< Of all services together.
  std::size_t room_id_bytes_max = 256;
  session::SessionSettings session;
  HttpSettings http;
  service::EffectLimits effects;
  Milliseconds overlong_call{50};
  SlowCallLimits slow_calls;
  BackOff back_off;
  Milliseconds token_cpu_per_second_max{200};
  Milliseconds drain_timeout{30'000};
  std::string data_dir;  ///< Empty: nothing is kept.
  store::SqliteStoreOptions store;
  bool verify = false;  ///< Kept rooms are replayed beside the server, and compared.
  std::size_t verify_waiting_max = 16;
  std::string static_dir;
  std::string client_dir;
  ws::DeflateOptions deflate;
  TlsSettings tls;
  std::optional<AdminSettings> admin;

  /// @error InvalidArgument  an option out of range; the message names it and what is allowed.
  [[nodiscard]] static Result<Settings> from(const ServerOptions& options);
};

[[nodiscard]] service::EffectLimits effect_limits(const ServerLimits& limits);

}  // namespace jamsocket::server
