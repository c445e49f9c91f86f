// jamsocket/server.hpp
//
// A room server inside your own program: `serve<Service>()`, or a `Server` to start, ask and stop.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <jamsocket/detail/native_service.hpp>
#include <jamsocket/service.hpp>

namespace jamsocket {

/// What each limit does when it is reached: docs/configuration.md.
struct ServerLimits {
  std::size_t message_bytes_max = std::size_t{1} << 20U;     ///< Inbound, after reassembly. Beyond: 1009.
  std::uint32_t fragments_max = 1024;                        ///< Fragments of one message. Beyond: 1008.
  std::chrono::milliseconds message_timeout{30'000};         ///< To complete a fragmented message. Beyond: 1008.
  std::size_t outbound_bytes_max = std::size_t{1} << 20U;    ///< Waiting for one client. Beyond: 1013.
  std::uint32_t outbound_messages_max = 1024;                ///< Waiting for one client. Beyond: 1013.
  std::chrono::milliseconds handshake_timeout{10'000};       ///< From accept to the upgrade. Beyond: closed.
  std::chrono::milliseconds close_timeout{2'000};            ///< For the peer's answer to our close frame.
  std::size_t request_line_bytes_max = 2048;                 ///< Beyond: 414.
  std::size_t headers_bytes_max = 8192;                      ///< Beyond: 431.
  std::uint32_t headers_max = 64;                            ///< Beyond: 431.
  std::size_t room_id_bytes_max = 256;                       ///< Beyond: 400.
  std::uint32_t clients_per_room_max = 10'000;               ///< Beyond: 503.
  std::uint32_t rooms_max = 1'000'000;                       ///< Beyond: 503.
  std::uint32_t rooms_per_service_max = 1'000'000;           ///< Beyond: 503.
  std::uint32_t connections_max = 0;                         ///< 0: from the open-files limit. Beyond: 503.
  std::uint32_t connections_per_address_max = 0;             ///< 0: any number. Beyond: 429. IPv6: of a /64.
  std::uint32_t connections_per_address_per_second_max = 0;  ///< New ones. 0: any number. Beyond: 429.
  std::uint32_t connections_per_subject_max = 0;             ///< Of one service. 0: any number. Beyond: 429.
  std::uint32_t rooms_per_address_per_minute_max = 0;        ///< Made by one address. 0: any. Beyond: 429.
  std::uint32_t client_messages_per_second_max = 0;          ///< Of one client. 0: any. Beyond: it is not read.
  std::size_t client_bytes_per_second_max = 0;               ///< Of one client. 0: any. Beyond: it is not read.
  std::size_t memory_high_bytes = 0;      ///< Of the process. 0: off. Beyond: new connections get 503.
  std::size_t memory_critical_bytes = 0;  ///< Of the process. 0: off. Beyond: the slowest clients are closed, 1013.
  std::size_t proxy_header_bytes_max = std::size_t{4} << 10U;     ///< Of the PROXY protocol. Beyond: closed.
  std::uint32_t tls_handshakes_max = 16'384;                      ///< At once. Beyond: the oldest is dropped.
  std::uint32_t tls_key_updates_max = 128;                        ///< That one client may ask for. Beyond: dropped.
  std::uint32_t sends_per_event_max = 10'000;                     ///< Beyond: the event fails.
  std::size_t send_bytes_per_event_max = std::size_t{16} << 20U;  ///< Beyond: the event fails.
  std::size_t log_bytes_per_event_max = std::size_t{64} << 10U;   ///< Beyond: the rest is dropped.
  std::uint32_t log_lines_per_event_max = 1000;                   ///< Beyond: the rest is dropped.
  std::uint32_t log_lines_per_second_max = 1000;                  ///< Of one room. Beyond: dropped.
  std::size_t inbox_bytes_max = std::size_t{4} << 20U;      ///< Waiting for one room; beyond, its clients are not read.
  std::chrono::milliseconds room_cpu_per_second_max{250};   ///< Of one room; beyond, other rooms go first.
  std::chrono::milliseconds overlong_call{50};              ///< A call that held its loop for so long is logged.
  std::uint32_t slow_calls_max = 64;                        ///< Of a loop, beside it. Beyond: the newest is ended.
  std::chrono::milliseconds slow_call_idle_max{5'000};      ///< So long they have what nobody else uses; then a share.
  std::chrono::milliseconds token_cpu_per_second_max{200};  ///< Of a loop, for checking tokens. Beyond: 503.
  std::uint32_t failures_before_back_off = 3;  ///< Of a room, each within a minute of the last; then joins hear 1013.
  std::chrono::milliseconds back_off_first{1'000};  ///< For so long at first, twice as long after each failure,
  std::chrono::milliseconds back_off_most{60'000};  ///< and at most so long.
  std::uint64_t checkpoint_events_max = 1'000;      ///< Of a kept room since its last checkpoint; then it takes one.
  std::size_t checkpoint_log_bytes_max = std::size_t{1} << 20U;       ///< The same in bytes of events.
  std::chrono::milliseconds checkpoint_cpu_max{50};                   ///< The same in processor time of them.
  std::size_t checkpoint_backlog_bytes_max = std::size_t{64} << 20U;  ///< Not yet written; beyond, rooms go on without.
  std::uint32_t room_in_flight_events_max = 4'096;  ///< Of a kept room, not yet on disk. Beyond, its events wait.
  std::size_t room_in_flight_bytes_max = std::size_t{4} << 20U;  ///< The same in bytes.
  std::size_t disk_free_bytes_min = std::size_t{64} << 20U;      ///< With less, nobody joins or says anything: 1013.
  std::uint32_t fault_files_max = 32;                            ///< Files about undone events; the oldest make way.
  std::size_t fault_file_bytes_max = std::size_t{4} << 20U;      ///< Beyond, it is not written.
  std::uint32_t verify_waiting_max = 16;                         ///< Checkpoints to be verified; beyond: they are not.
};

/// Who must say who they are, and how: docs/security.md.
struct TokenOptions {
  std::string mode = "off";                         ///< off, optional, required.
  std::string keys{};                               ///< A file of keys or a folder of such files.
  std::vector<std::string> audiences{};             ///< `aud` must name one of these; empty: there may be none.
  std::vector<std::string> issuers{};               ///< `iss` must be one of these; empty: it does not matter.
  std::vector<std::string> required_claims{"sub"};  ///< Beside `exp`.
  std::chrono::milliseconds leeway{3'000};          ///< How far clocks may differ.
  std::vector<std::string> carriers{"subprotocol", "authorization", "ticket"};  ///< And "message".
  std::chrono::milliseconds message_timeout{5'000};  ///< For the first message, if that may bring it. Beyond: 4401.
  std::size_t message_bytes_max = 8192;              ///< Before and with that message. Beyond: 1009.
  std::uint32_t tickets_max = 10'000;                ///< Unused ones of one loop. Beyond: 503.
  std::chrono::milliseconds ticket_lifetime{30'000};
};

/// Clients that come back after their connection ended: docs/identity.md.
struct ReturnOptions {
  std::chrono::milliseconds within{0};  ///< For so long a client's place is kept; 0: it leaves at once.
  std::string twice = "newer";          ///< One who is there already: newer (the older one is closed with 4409), both.
  std::string tell = "header";          ///< The resume token: header, message, both, none.
  std::size_t queue_bytes_max = 0;      ///< Of messages kept for one absent client. Beyond: they are lost.
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;          ///< 0: any free port; ask Server::port().
  std::vector<std::string> listen{};  ///< "HOST:PORT", "[V6]:PORT", "unix:/PATH": instead of host and port.
  std::string unix_mode = "0660";     ///< Permissions of a unix-domain socket's file, octal.
  std::size_t unsent_bytes_max = std::size_t{128} << 10U;  ///< Of one client, in the kernel; the rest waits here.
  std::vector<std::string> proxies_trusted{};  ///< Addresses, networks, "unix": who may say for whom it speaks.
  std::string proxy_protocol = "off";          ///< Of trusted proxies: off, required (version 1 or 2).
  std::string forwarded_header = "off";        ///< Of trusted proxies: off, x-forwarded-for, forwarded (RFC 7239).
  std::uint32_t shards = 0;                    ///< Event loops; 0: one a core.
  std::string scheduling = "batch";            ///< Of loops, where processors are short: batch, normal.
  std::string room_strategy = "implicit";      ///< implicit, api, uuid, short, short3 to short12.
  std::string shutdown_policy = "300sec";      ///< Of an empty room: never, immediate, <n>sec.
  std::chrono::milliseconds heartbeat_interval{25'000};
  std::chrono::milliseconds heartbeat_timeout{60'000};
  std::chrono::milliseconds drain_timeout{30'000};  ///< For clients to leave once stop() was called.
  std::string static_dir{};                         ///< Served at /; empty: nothing is.
  std::string client_dir{};                         ///< Served at /client; empty: nothing is.
  std::vector<std::string> client_headers{"origin", "user-agent", "accept-language"};  ///< See ClientInfo::header.
  std::string compression = "off";             ///< permessage-deflate: off, message, context (more memory a client).
  std::uint32_t compression_window_bits = 15;  ///< 9 to 15: a message may refer 2^n bytes back.
  std::vector<std::string> origins{"same"};    ///< Pages that may connect: "same", "any", "https://example.com", ...
  std::vector<std::string> hosts{};            ///< Names the server may be asked for; empty: every name.
  std::vector<std::string> subprotocols{};     ///< The client's first that is among these is accepted.
  std::string data_dir{};                      ///< Where rooms are kept; empty: they are not.
  std::string history = "none";                ///< Of kept rooms, behind checkpoints: none, all, 12h, 7d, 1GiB.
  std::string verify = "off";                  ///< on: kept rooms are replayed beside the server, and compared.
  std::string durability = "auto";             ///< none, async, local; auto: local with a data_dir, else none.
  std::string upgrade = "keep";  ///< Rooms of older code: keep (they go on with it), restart, replay, migrate.
  TokenOptions tokens{};
  ReturnOptions returning{};
  std::chrono::milliseconds sleep_after{300'000};  ///< A kept room without an event gives its memory back.
  std::string tls_cert{};  ///< A file in PEM, with what leads to its root behind it; empty: connections are plain.
  std::string tls_key{};   ///< The certificate's, in PEM, without a password.
  std::string log_level = "info";        ///< debug, info, warn, error, off.
  std::string admin_host = "127.0.0.1";  ///< Of /health, /metrics and /admin; not of this machine only: with a token.
  std::string admin_port = "off";        ///< off, or a port; 0: any free one, which the log names.
  std::string admin_token_file{};        ///< Its first line is what /metrics and /admin ask for.
  std::uint64_t admin_import_bytes_max = std::uint64_t{64} << 20U;   ///< Of a kept room's file that is brought in.
  std::uint64_t admin_export_bytes_max = std::uint64_t{256} << 20U;  ///< Of one that is given out.
  ServerLimits limits{};
};

class Server {
 public:
  /// A server whose rooms are instances of `Service`; it listens once `start` was called.
  template <class Service>
  [[nodiscard]] static Server of(ServerOptions options = {}) {
    return Server(std::move(options), detail::native_service_factory<Service>());
  }

  Server(ServerOptions options, detail::NativeServiceFactory factory);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();  ///< Stops, if it runs.

  /// Listens and returns at once; the rooms run on the server's own threads.
  /// @return or one sentence: an option out of range, the address is taken, ...
  [[nodiscard]] std::expected<void, std::string> start();
  /// The port it listens on; 0 before `start`.
  [[nodiscard]] std::uint16_t port() const;
  /// Closes every client with 1012, waits for them at most `drain_timeout`, and returns. Any thread; inside a service's
  /// callback it only begins, and returns at once: whoever made the server calls it too, and waits.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

namespace detail {
/// Starts a server, says where on standard output, and stops it at SIGINT or SIGTERM.
int serve_until_signalled(ServerOptions options, NativeServiceFactory factory);
}  // namespace detail

/// Runs a native server until SIGINT or SIGTERM; the environment's PORT, HOST and LOG_LEVEL count
/// where `options` was left at its default.
/// @return the process's exit code: 0; with a sentence on standard error 2 where the options or the environment are
///   wrong, or a certificate that they name is, else 1.
template <class Service>
int serve(ServerOptions options = {}) {
  return detail::serve_until_signalled(std::move(options), detail::native_service_factory<Service>());
}

}  // namespace jamsocket
