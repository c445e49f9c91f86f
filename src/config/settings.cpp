#include "config/settings.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <type_traits>

#include "auth/origins.hpp"
#include "base/number.hpp"
#include "config/patterns.hpp"

namespace jamsocket::config {
namespace {

constexpr std::uint64_t kKiB = std::uint64_t{1} << 10U;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;

// kField: a lambda from Settings to one of its fields, an integer or a duration.
template <Unit kUnit, auto kField>
constexpr Number number(std::uint64_t least, std::uint64_t most) {
  using Value = std::remove_cvref_t<std::invoke_result_t<decltype(kField), Settings&>>;
  constexpr std::uint64_t kMillisecondsPerUnit = kUnit == Unit::Seconds ? 1000 : 1;
  return {.unit = kUnit,
          .least = least,
          .most = most,
          .get = [](const Settings& settings) -> std::uint64_t {
            if constexpr (std::is_integral_v<Value>) {
              return kField(settings);
            } else {
              return static_cast<std::uint64_t>(kField(settings).count()) / kMillisecondsPerUnit;
            }
          },
          .set =
              [](Settings& settings, std::uint64_t value) {
                if constexpr (std::is_integral_v<Value>) {
                  kField(settings) = static_cast<Value>(value);
                } else {
                  kField(settings) = Value(static_cast<std::int64_t>(value * kMillisecondsPerUnit));
                }
              }};
}

template <auto kField>
constexpr Number bytes(std::uint64_t least, std::uint64_t most) {
  return number<Unit::Bytes, kField>(least, most);
}
// A module's memory comes in pages of 64 KiB.
template <auto kField>
constexpr Number pages(std::uint64_t least, std::uint64_t most) {
  Number number = bytes<kField>(least, most);
  number.step = 64 * kKiB;
  return number;
}
template <auto kField>
constexpr Number count(std::uint64_t least, std::uint64_t most) {
  return number<Unit::Count, kField>(least, most);
}
template <auto kField>
constexpr Number milliseconds(std::uint64_t least, std::uint64_t most) {
  return number<Unit::Milliseconds, kField>(least, most);
}
template <auto kField>
constexpr Number seconds(std::uint64_t least, std::uint64_t most) {
  return number<Unit::Seconds, kField>(least, most);
}

bool is_path(std::string_view text) { return !text.empty() && text.find('\0') == std::string_view::npos; }
bool is_log_level(std::string_view text) {
  return text == "debug" || text == "info" || text == "warn" || text == "error" || text == "off";
}
bool is_optional_port(std::string_view text) { return text == "off" || parse_number<std::uint16_t>(text).has_value(); }
bool is_compression(std::string_view text) { return text == "off" || text == "message" || text == "context"; }
bool is_durability(std::string_view text) {
  return text == "auto" || text == "none" || text == "async" || text == "local";
}
bool is_upgrade(std::string_view text) {
  return text == "keep" || text == "restart" || text == "replay" || text == "migrate";
}
bool is_token_mode(std::string_view text) { return text == "off" || text == "optional" || text == "required"; }
bool is_token_carrier(std::string_view text) {
  return text == "subprotocol" || text == "authorization" || text == "ticket" || text == "message";
}
bool is_twice(std::string_view text) { return text == "newer" || text == "both"; }
bool is_telling(std::string_view text) {
  return text == "header" || text == "message" || text == "both" || text == "none";
}
bool is_plain_text(std::string_view text) {
  return !text.empty() && text.size() <= 256 &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}
bool is_log_format(std::string_view text) { return text == "auto" || text == "text" || text == "json"; }
bool is_proxy_protocol(std::string_view text) { return text == "off" || text == "required"; }
bool is_forwarded_header(std::string_view text) {
  return text == "off" || text == "x-forwarded-for" || text == "forwarded";
}
bool is_on_or_off(std::string_view text) { return text == "on" || text == "off"; }
bool is_scheduling(std::string_view text) { return text == "batch" || text == "normal"; }
bool is_compile_apart(std::string_view text) { return text == "never" || text == "services" || text == "always"; }
bool is_optimization_level(std::string_view text) {
  return text == "none" || text == "s" || text == "z" || (text.size() == 1 && text[0] >= '0' && text[0] <= '4');
}

template <auto kField>
constexpr Text path(PathKind kind) {
  return {.allowed = kind == PathKind::ExistingFolder ? "a folder that exists" : "a path",
          .is_allowed = is_path,
          .field = kField,
          .path = kind};
}
template <auto kField>
constexpr TextList list(std::string_view allowed, bool (*is_allowed)(std::string_view)) {
  return {.allowed = allowed, .is_allowed = is_allowed, .field = kField};
}
template <auto kField>
constexpr Text text(std::string_view allowed, bool (*is_allowed)(std::string_view)) {
  return {.allowed = allowed, .is_allowed = is_allowed, .field = kField};
}

// A port, or the word off.
template <auto kField>
constexpr Text optional_port() {
  return {.allowed = "off, or 0 to 65535",
          .is_allowed = is_optional_port,
          .field = kField,
          .numbers = Text::Numbers::Accepted};
}

constexpr std::uint64_t kDaySeconds = 86'400;
constexpr std::uint64_t kHourMs = 3'600'000;

// In a lambda below, S is Settings or const Settings.
#define JAM_FIELD(path) [](auto& s) -> auto& { return s.path; }
#define JAM_LIST_FIELD(path) [](Settings& s) -> std::vector<std::string>& { return s.path; }
#define JAM_TEXT_FIELD(path) [](Settings& s) -> std::string& { return s.path; }

constexpr std::array kEntries{
    Entry{"static_files", "--static", "", "The folder whose files are served at /",
          path<JAM_TEXT_FIELD(server.static_dir)>(PathKind::ExistingFolder), Scope::Service},

    Entry{"server.host", "--host", "HOST", "The address to listen on; 0.0.0.0 or :: for every network",
          text<JAM_TEXT_FIELD(server.host)>("an IP address or a host name", is_host)},
    Entry{"server.port", "-p,--port", "PORT", "The port to listen on; 0 for any free one",
          count<JAM_FIELD(server.port)>(0, 65'535)},
    Entry{
        "server.listen", "--listen", "",
        "Where to listen instead of host and port, one or several; a unix-domain socket's file is made, and removed at "
        "the end",
        TextList{.allowed = "HOST:PORT, [IPV6]:PORT or unix:/PATH",
                 .is_allowed = is_endpoint,
                 .field = [](Settings& s) -> std::vector<std::string>& { return s.server.listen; }}},
    Entry{"server.unix_mode", "", "", "Permissions of a unix-domain socket's file: who may write to it, may connect",
          text<JAM_TEXT_FIELD(server.unix_mode)>("an octal number from 0600 to 0777", is_file_mode)},
    Entry{"server.unsent_bytes_max", "", "",
          "What the kernel may hold of one client's bytes before it sends them; the rest waits in the server, within "
          "limits.outbound_bytes_max",
          bytes<JAM_FIELD(server.unsent_bytes_max)>(4 * kKiB, kGiB)},
    Entry{"server.shards", "--shards", "", "Event loops, each a thread; 0 for one a core",
          count<JAM_FIELD(server.shards)>(0, 256)},
    Entry{"server.scheduling", "", "",
          "When an event loop runs where all processors are in use: batch waits until who runs has had its turn, and "
          "then finds more to do at once; normal mostly does not wait",
          text<JAM_TEXT_FIELD(server.scheduling)>("batch or normal", is_scheduling)},
    Entry{"server.heartbeat_interval_seconds", "-i,--heartbeat-interval", "",
          "Every client is pinged this often (seconds)", seconds<JAM_FIELD(server.heartbeat_interval)>(1, kDaySeconds)},
    Entry{"server.heartbeat_timeout_seconds", "-t,--heartbeat-timeout", "",
          "A client that was silent for so long is gone (seconds); more than the interval",
          seconds<JAM_FIELD(server.heartbeat_timeout)>(1, kDaySeconds)},
    Entry{"server.drain_timeout_seconds", "--drain-timeout", "",
          "When stopping, how long clients may take to leave (seconds)",
          seconds<JAM_FIELD(server.drain_timeout)>(0, kDaySeconds)},
    Entry{"server.compression", "--compression", "",
          "permessage-deflate (RFC 7692): message compresses each message alone, context refers to earlier ones at the "
          "price of a window a client and direction",
          text<JAM_TEXT_FIELD(server.compression)>("off, message or context", is_compression)},
    Entry{"server.compression_window_bits", "", "", "How far back compressed messages may refer: 2^n bytes",
          count<JAM_FIELD(server.compression_window_bits)>(9, 15)},
    Entry{"server.data", "--data", "",
          "The folder where rooms are kept, made if it is missing; nothing is kept if not set",
          path<JAM_TEXT_FIELD(server.data_dir)>(PathKind::Folder)},
    Entry{
        "server.history", "--history", "",
        "How much of what happened to kept rooms is kept although their checkpoints cover it: rooms can be taken back "
        "so far",
        Text{.allowed = kHistories,
             .is_allowed = [](std::string_view value) { return parse_history(value).has_value(); },
             .field = JAM_TEXT_FIELD(server.history)}},
    Entry{
        "server.verify", "--verify", "",
        "Whether kept rooms' events are run again beside the server and the memory that they lead to is compared; what "
        "differs is logged",
        text<JAM_TEXT_FIELD(server.verify)>("off or on", is_on_or_off)},
    Entry{"server.log_level", "--log-level", "LOG_LEVEL", "The least important lines to log",
          text<JAM_TEXT_FIELD(server.log_level)>("debug, info, warn, error or off", is_log_level)},
    Entry{"server.log_format", "--log-format", "",
          "How log lines look; auto is text on a terminal, else JSON, a line each",
          text<JAM_TEXT_FIELD(log_format)>("auto, text or json", is_log_format)},

    Entry{"server.sandbox", "--sandbox", "",
          "Whether the server gives away what it does not need: files that the settings do not name, system calls that "
          "no "
          "server makes, a memory that others may look into (Landlock and seccomp)",
          text<JAM_TEXT_FIELD(sandbox)>("off or on", is_on_or_off)},

    Entry{"tls.cert", "--tls-cert", "",
          "The certificate, in PEM, with those that lead to its root behind it: connections are TLS then (https, wss)",
          path<JAM_TEXT_FIELD(server.tls_cert)>(PathKind::Path)},
    Entry{"tls.key", "--tls-key", "", "The certificate's private key, in PEM, without a password",
          path<JAM_TEXT_FIELD(server.tls_key)>(PathKind::Path)},

    Entry{"service.package", "", "",
          "The folder of the service to build: with one source file, a Cargo.toml, or a package.json (AssemblyScript)",
          path<JAM_TEXT_FIELD(service.package)>(PathKind::Folder)},
    Entry{"service.source", "", "", "The service to build, when it is one C++ or Rust file",
          path<JAM_TEXT_FIELD(service.source)>(PathKind::Path)},
    Entry{"service.module", "", "", "The service's module, when it is built by other means; nothing is built",
          path<JAM_TEXT_FIELD(service.module)>(PathKind::Path), Scope::Service},
    Entry{"service.module_cache", "--module-cache", "",
          "The folder of compiled modules, writable by nobody else; $XDG_CACHE_HOME/jamsocket/modules if not set",
          path<JAM_TEXT_FIELD(service.module_cache)>(PathKind::Folder)},
    Entry{"service.room_strategy", "-r,--room-strategy", "", "Which rooms exist",
          text<JAM_TEXT_FIELD(server.room_strategy)>("implicit, api, uuid, short, or short3 to short12",
                                                     is_room_strategy),
          Scope::Service},
    Entry{"service.shutdown_policy", "-s,--shutdown-policy", "", "When an empty room ends",
          text<JAM_TEXT_FIELD(server.shutdown_policy)>("never, immediate, or <n>sec with a whole number n, like 300sec",
                                                       is_shutdown_policy),
          Scope::Service},
    Entry{"service.durability", "--durability", "",
          "When a room's changes are on disk: never, soon, or before anybody can see them; auto is local with a data "
          "folder",
          text<JAM_TEXT_FIELD(server.durability)>("auto, none, async or local", is_durability), Scope::Service},
    Entry{"service.upgrade", "", "",
          "What becomes of kept rooms when the service's code has changed: they keep the code that made them, restart "
          "empty, have all their events run by the new code, or are saved by the old code and loaded by the new",
          text<JAM_TEXT_FIELD(server.upgrade)>("keep, restart, replay or migrate", is_upgrade), Scope::Service},
    Entry{"service.sleep_after_seconds", "", "",
          "A kept room in which nothing happens for so long gives its memory back, with its clients connected",
          seconds<JAM_FIELD(server.sleep_after)>(1, 365 * kDaySeconds), Scope::Service},
    Entry{"service.client_headers", "", "", "The headers of the upgrade request that a service may see at connect",
          TextList{.allowed = "names of HTTP headers",
                   .is_allowed = is_header_name,
                   .field = [](Settings& s) -> std::vector<std::string>& { return s.server.client_headers; }},
          Scope::Service},

    Entry{"service.subprotocols", "", "",
          "Subprotocols the service speaks: the first of the client's that is among them is accepted",
          TextList{.allowed = "tokens of RFC 9110",
                   .is_allowed = is_header_name,
                   .field = [](Settings& s) -> std::vector<std::string>& { return s.server.subprotocols; }},
          Scope::Service},

    Entry{"auth.origins", "", "",
          "The origins whose pages may connect and make rooms; beside them, whoever sends no Origin: no page does that",
          TextList{.allowed = auth::kOriginEntries,
                   .is_allowed = auth::is_origin_entry,
                   .field = [](Settings& s) -> std::vector<std::string>& { return s.server.origins; }},
          Scope::Service},
    Entry{"auth.hosts", "", "",
          "The names that the server may be asked for, against other people's names that point at it; every name if "
          "empty; beyond: 421",
          TextList{.allowed = auth::kHostEntries,
                   .is_allowed = auth::is_host_entry,
                   .field = [](Settings& s) -> std::vector<std::string>& { return s.server.hosts; }}},
    Entry{"auth.tokens", "", "",
          "Whether clients must bring a JSON Web Token; optional: who brings none is nobody, who brings a wrong one is "
          "refused",
          text<JAM_TEXT_FIELD(server.tokens.mode)>("off, optional or required", is_token_mode), Scope::Service},
    Entry{"auth.token_keys", "", "",
          "The keys that tokens are signed with: a file (a JSON Web Key or a set of them, a key in PEM, a secret "
          "ending in .key) or a folder of such files",
          path<JAM_TEXT_FIELD(server.tokens.keys)>(PathKind::Path), Scope::Service},
    Entry{"auth.token_audiences", "", "",
          "The claim aud must name one of these; if there are none, there may be no aud",
          list<JAM_LIST_FIELD(server.tokens.audiences)>("texts of 1 to 256 bytes", is_plain_text), Scope::Service},
    Entry{"auth.token_issuers", "", "", "The claim iss must be one of these; if there are none, it does not matter",
          list<JAM_LIST_FIELD(server.tokens.issuers)>("texts of 1 to 256 bytes", is_plain_text), Scope::Service},
    Entry{"auth.token_claims", "", "", "Claims that a token must have, beside exp",
          list<JAM_LIST_FIELD(server.tokens.required_claims)>("texts of 1 to 256 bytes", is_plain_text),
          Scope::Service},
    Entry{"auth.token_leeway_ms", "", "", "How far the clock of who makes tokens may differ from the server's",
          milliseconds<JAM_FIELD(server.tokens.leeway)>(0, 300'000), Scope::Service},
    Entry{"auth.token_carriers", "", "",
          "Where a token may be: the subprotocol jam.bearer.TOKEN beside another one, Authorization: Bearer TOKEN, a "
          "single-use ticket in the query (?ticket=), the first message",
          list<JAM_LIST_FIELD(server.tokens.carriers)>("subprotocol, authorization, ticket and message",
                                                       is_token_carrier),
          Scope::Service},
    Entry{"auth.token_message_timeout_ms", "", "",
          "For a first message that brings the token; beyond: closed with 4401",
          milliseconds<JAM_FIELD(server.tokens.message_timeout)>(1, kHourMs), Scope::Service},
    Entry{"auth.token_message_bytes_max", "", "",
          "Bytes of a client before its token has come; beyond: closed with 1009",
          bytes<JAM_FIELD(server.tokens.message_bytes_max)>(64, 64 * kKiB), Scope::Service},
    Entry{"auth.ticket_lifetime_ms", "", "", "For so long a ticket can be used",
          milliseconds<JAM_FIELD(server.tokens.ticket_lifetime)>(100, kHourMs), Scope::Service},

    Entry{"auth.return_within_ms", "", "",
          "For so long a client whose connection ended may come back as the same client; the service hears of it only "
          "when it did not; 0: it leaves at once",
          milliseconds<JAM_FIELD(server.returning.within)>(0, 24 * kHourMs), Scope::Service},
    Entry{"auth.return_twice", "", "",
          "A client that is there already: the newer connection takes its place and the older one is closed with 4409, "
          "or both are clients",
          text<JAM_TEXT_FIELD(server.returning.twice)>("newer or both", is_twice), Scope::Service},
    Entry{"auth.return_tell", "", "",
          "How a client is told its resume token: the header Jamsocket-Resume, a first message, both, or not at all "
          "(then its token's subject says who it is)",
          text<JAM_TEXT_FIELD(server.returning.tell)>("header, message, both or none", is_telling), Scope::Service},
    Entry{"auth.return_queue_bytes_max", "", "",
          "Messages kept for one client that is absent; from the first that does not fit on, they are lost",
          bytes<JAM_FIELD(server.returning.queue_bytes_max)>(0, 64 * kMiB), Scope::Service},

    Entry{"modules.compile_apart", "--compile-apart", "",
          "Which modules are compiled in a process of its own, within the limits below; services are those of "
          "[services.NAME] and those that are added while the server runs",
          text<JAM_TEXT_FIELD(compile_apart)>("never, services or always", is_compile_apart)},
    Entry{"modules.compile_cpu_seconds_max", "", "", "Processor time to compile one module; beyond: it is refused",
          seconds<JAM_FIELD(compile.cpu_max)>(1, 3600)},
    Entry{"modules.compile_wall_seconds_max", "", "", "Time on the clock to compile one module; beyond: it is refused",
          seconds<JAM_FIELD(compile.wall_max)>(1, 3600)},
    Entry{"modules.compile_memory_bytes_max", "", "", "Address space to compile one module; beyond: it is refused",
          bytes<JAM_FIELD(compile.memory_bytes_max)>(256 * kMiB, 64 * kGiB)},

    Entry{
        "proxies.trusted", "", "",
        "The proxies that may say for whom they speak; what others say of it is not believed",
        TextList{.allowed = "IP addresses, networks like 10.0.0.0/8, or unix for all that come by a unix-domain socket",
                 .is_allowed = is_proxy,
                 .field = [](Settings& s) -> std::vector<std::string>& { return s.server.proxies_trusted; }}},
    Entry{"proxies.protocol", "", "",
          "Whether trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2; one that "
          "does not is closed",
          text<JAM_TEXT_FIELD(server.proxy_protocol)>("off or required", is_proxy_protocol)},
    Entry{"proxies.header", "", "",
          "The header in which trusted proxies name the client: the last address in it that is not a trusted proxy's "
          "counts; others are not looked at",
          text<JAM_TEXT_FIELD(server.forwarded_header)>("off, x-forwarded-for or forwarded", is_forwarded_header)},

    Entry{"admin.host", "", "", "The address of /health, /metrics and /admin; beyond this machine: with a token",
          text<JAM_TEXT_FIELD(server.admin_host)>("an IP address or a host name", is_host)},
    Entry{"admin.port", "--admin-port", "", "The port of /health, /metrics and /admin; 0 for any free one",
          optional_port<JAM_TEXT_FIELD(server.admin_port)>()},
    Entry{"admin.token_file", "", "",
          "The file whose first line is the token that /metrics and /admin ask for, as Authorization: Bearer TOKEN",
          path<JAM_TEXT_FIELD(server.admin_token_file)>(PathKind::Path)},
    Entry{"admin.import_bytes_max", "", "",
          "The file of a kept room that is brought into the running server, as it comes and unpacked; beyond: 413 "
          "(admin_errors_total)",
          bytes<JAM_FIELD(server.admin_import_bytes_max)>(64 * kKiB, 4 * kGiB)},
    Entry{
        "admin.export_bytes_max", "", "",
        "The file of a kept room, or its history, that the running server gives out; beyond: 507 (admin_errors_total)",
        bytes<JAM_FIELD(server.admin_export_bytes_max)>(64 * kKiB, 4 * kGiB)},

    Entry{"client.package", "", "", "The folder of the built client package, served at /client",
          path<JAM_TEXT_FIELD(server.client_dir)>(PathKind::ExistingFolder)},
    Entry{"client.optimization_level", "", "",
          "Accepted for files of Jamsocket 0.1 and without effect: the package is served as it was built",
          Text{.allowed = "none, 0 to 4, s or z",
               .is_allowed = is_optimization_level,
               .field = JAM_TEXT_FIELD(client.optimization_level),
               .numbers = Text::Numbers::Accepted}},

    Entry{"limits.message_bytes_max", "", "", "A client's message, whole; beyond: closed with 1009",
          bytes<JAM_FIELD(server.limits.message_bytes_max)>(1, kGiB)},
    Entry{"limits.fragments_max", "", "", "Fragments of one message; beyond: closed with 1008",
          count<JAM_FIELD(server.limits.fragments_max)>(1, 1'000'000)},
    Entry{"limits.message_timeout_ms", "", "", "To complete a fragmented message; beyond: closed with 1008",
          milliseconds<JAM_FIELD(server.limits.message_timeout)>(1, kHourMs)},
    Entry{"limits.outbound_bytes_max", "", "", "Waiting for one client that reads slowly; beyond: closed with 1013",
          bytes<JAM_FIELD(server.limits.outbound_bytes_max)>(kKiB, kGiB)},
    Entry{"limits.outbound_messages_max", "", "",
          "Messages waiting for one client that reads slowly; beyond: closed with 1013",
          count<JAM_FIELD(server.limits.outbound_messages_max)>(1, 1'000'000)},
    Entry{"limits.handshake_timeout_ms", "", "", "From the connection to the whole request; beyond: closed",
          milliseconds<JAM_FIELD(server.limits.handshake_timeout)>(1, kHourMs)},
    Entry{"limits.close_timeout_ms", "", "", "For the answer to a close frame of ours; beyond: closed",
          milliseconds<JAM_FIELD(server.limits.close_timeout)>(1, kHourMs)},
    Entry{"limits.request_line_bytes_max", "", "", "The request line; beyond: 414",
          bytes<JAM_FIELD(server.limits.request_line_bytes_max)>(64, 64 * kKiB)},
    Entry{"limits.headers_bytes_max", "", "", "All headers of a request; beyond: 431",
          bytes<JAM_FIELD(server.limits.headers_bytes_max)>(256, 64 * kKiB)},
    Entry{"limits.headers_max", "", "", "Headers of a request; beyond: 431",
          count<JAM_FIELD(server.limits.headers_max)>(1, 1024)},
    Entry{"limits.room_id_bytes_max", "", "", "A room's id, decoded; beyond: 400",
          bytes<JAM_FIELD(server.limits.room_id_bytes_max)>(1, kKiB)},
    Entry{"limits.clients_per_room_max", "", "", "Clients in one room; beyond: 503",
          count<JAM_FIELD(server.limits.clients_per_room_max)>(1, 10'000'000), Scope::Service},
    Entry{"limits.rooms_max", "", "", "Rooms at once; beyond: 503",
          count<JAM_FIELD(server.limits.rooms_max)>(1, 100'000'000)},
    Entry{"limits.rooms_per_service_max", "", "", "Rooms of one service at once; beyond: 503",
          count<JAM_FIELD(server.limits.rooms_per_service_max)>(1, 100'000'000), Scope::Service},
    Entry{"limits.connections_max", "", "", "Connections at once, 0 for what the open-files limit allows; beyond: 503",
          count<JAM_FIELD(server.limits.connections_max)>(0, 100'000'000)},
    Entry{"limits.connections_per_address_max", "", "",
          "Connections at once of one address (IPv6: of a /64), 0 for any number; beyond: 429",
          count<JAM_FIELD(server.limits.connections_per_address_max)>(0, 100'000'000)},
    Entry{"limits.connections_per_address_per_second_max", "", "",
          "New connections of one address (IPv6: of a /64) in a second, 0 for any number; beyond: 429",
          count<JAM_FIELD(server.limits.connections_per_address_per_second_max)>(0, 1'000'000)},
    Entry{"limits.connections_per_subject_max", "", "",
          "Connections at once of one token's subject to one service, 0 for any number; beyond: 429",
          count<JAM_FIELD(server.limits.connections_per_subject_max)>(0, 100'000'000)},
    Entry{"limits.rooms_per_address_per_minute_max", "", "",
          "Rooms that one address (IPv6: a /64) makes, or wakes, in a minute, 0 for any number; beyond: 429",
          count<JAM_FIELD(server.limits.rooms_per_address_per_minute_max)>(0, 1'000'000)},
    Entry{"limits.client_messages_per_second_max", "", "",
          "Messages of one client in a second, 0 for any number; beyond: it is not read for a while",
          count<JAM_FIELD(server.limits.client_messages_per_second_max)>(0, 1'000'000)},
    Entry{"limits.client_bytes_per_second_max", "", "",
          "Bytes of one client in a second, 0 for any number, else 1 KiB or more; beyond: it is not read for a while",
          bytes<JAM_FIELD(server.limits.client_bytes_per_second_max)>(0, 16 * kGiB)},
    Entry{"limits.memory_high_bytes", "", "", "Memory of the process, 0 for no limit; beyond: new connections get 503",
          bytes<JAM_FIELD(server.limits.memory_high_bytes)>(0, 65'536 * kGiB)},
    Entry{"limits.memory_critical_bytes", "", "",
          "Memory of the process, 0 for no limit; beyond: the clients that read slowest are closed with 1013",
          bytes<JAM_FIELD(server.limits.memory_critical_bytes)>(0, 65'536 * kGiB)},
    Entry{"limits.proxy_header_bytes_max", "", "", "A header of the PROXY protocol; beyond: closed",
          bytes<JAM_FIELD(server.limits.proxy_header_bytes_max)>(232, 64 * kKiB)},
    Entry{"limits.tls_handshakes_max", "", "",
          "TLS handshakes under way at once, shared evenly by the loops; beyond, the oldest is dropped",
          count<JAM_FIELD(server.limits.tls_handshakes_max)>(1, 10'000'000)},
    Entry{"limits.tls_key_updates_max", "", "",
          "Key updates and renegotiations that one client may ask for; beyond: dropped",
          count<JAM_FIELD(server.limits.tls_key_updates_max)>(0, 1'000'000)},
    Entry{"limits.inbox_bytes_max", "", "", "Messages waiting for one room; beyond, its clients are not read",
          bytes<JAM_FIELD(server.limits.inbox_bytes_max)>(kKiB, kGiB), Scope::Service},
    Entry{"limits.sends_per_event_max", "", "", "Sends of one event; beyond: the event fails",
          count<JAM_FIELD(server.limits.sends_per_event_max)>(1, 10'000'000)},
    Entry{"limits.send_bytes_per_event_max", "", "", "Bytes sent by one event; beyond: the event fails",
          bytes<JAM_FIELD(server.limits.send_bytes_per_event_max)>(1, kGiB)},
    Entry{"limits.log_bytes_per_event_max", "", "", "Bytes logged by one event; beyond: dropped",
          bytes<JAM_FIELD(server.limits.log_bytes_per_event_max)>(0, 16 * kMiB)},
    Entry{"limits.log_lines_per_event_max", "", "", "Lines logged by one event; beyond: dropped",
          count<JAM_FIELD(server.limits.log_lines_per_event_max)>(0, 1'000'000)},
    Entry{"limits.log_lines_per_second_max", "", "", "Lines logged by one room in a second; beyond: dropped",
          count<JAM_FIELD(server.limits.log_lines_per_second_max)>(0, 1'000'000), Scope::Service},
    Entry{"limits.room_cpu_ms_per_second_max", "", "",
          "Processor time of one room in a second; beyond, all other rooms of its loop go first",
          milliseconds<JAM_FIELD(server.limits.room_cpu_per_second_max)>(1, 1'000), Scope::Service},
    Entry{"limits.overlong_call_ms", "", "", "A native service's call that held its loop for so long is logged",
          milliseconds<JAM_FIELD(server.limits.overlong_call)>(1, kHourMs)},
    Entry{"limits.slow_calls_max", "", "",
          "Calls that take long and go on beside one loop; one more that takes long is ended, and its event fails",
          count<JAM_FIELD(server.limits.slow_calls_max)>(1, 1'024)},
    Entry{
        "limits.slow_call_idle_ms_max", "", "",
        "For so long such a call has only what everybody else leaves of the processors; then the least share (nice 19)",
        milliseconds<JAM_FIELD(server.limits.slow_call_idle_max)>(1, kHourMs)},
    Entry{"limits.tickets_max", "", "", "Tickets of one loop that were not used yet; beyond: 503",
          count<JAM_FIELD(server.tokens.tickets_max)>(1, 10'000'000), Scope::Service},
    Entry{"limits.token_cpu_ms_per_second_max", "", "",
          "Processor time of one loop in a second for checking tokens; beyond: 503",
          milliseconds<JAM_FIELD(server.limits.token_cpu_per_second_max)>(1, 1'000)},
    Entry{"limits.failures_before_back_off", "", "",
          "Failures of a room, each within a minute of the last, after which joins are closed with 1013 for a while",
          count<JAM_FIELD(server.limits.failures_before_back_off)>(1, 1'000)},
    Entry{"limits.back_off_first_ms", "", "", "That while, at first; it doubles with each failure",
          milliseconds<JAM_FIELD(server.limits.back_off_first)>(1, kHourMs)},
    Entry{"limits.back_off_most_ms", "", "", "The longest such while; not less than back_off_first_ms",
          milliseconds<JAM_FIELD(server.limits.back_off_most)>(1, 24 * kHourMs)},
    Entry{"limits.checkpoint_events_max", "", "", "Events of a kept room since its last checkpoint; then it takes one",
          count<JAM_FIELD(server.limits.checkpoint_events_max)>(1, 10'000'000), Scope::Service},
    Entry{"limits.checkpoint_log_bytes_max", "", "",
          "Bytes of events of a kept room since its last checkpoint; then it takes one",
          bytes<JAM_FIELD(server.limits.checkpoint_log_bytes_max)>(kKiB, kGiB), Scope::Service},
    Entry{"limits.checkpoint_cpu_ms_max", "", "",
          "Processor time of a kept room's events since its last checkpoint; then it takes one",
          milliseconds<JAM_FIELD(server.limits.checkpoint_cpu_max)>(1, kHourMs), Scope::Service},
    Entry{"limits.checkpoint_backlog_bytes_max", "", "",
          "Checkpoints that wait to be compressed or written; beyond, rooms go on without a further one",
          bytes<JAM_FIELD(server.limits.checkpoint_backlog_bytes_max)>(kMiB, 64 * kGiB)},
    Entry{"limits.room_in_flight_events_max", "", "",
          "Events of a kept room that are not yet on disk; beyond, its further ones wait",
          count<JAM_FIELD(server.limits.room_in_flight_events_max)>(1, 10'000'000), Scope::Service},
    Entry{
        "limits.room_in_flight_bytes_max", "", "",
        "Bytes of a kept room's events, and of what they sent, that are not yet on disk; beyond, its further ones wait",
        bytes<JAM_FIELD(server.limits.room_in_flight_bytes_max)>(kKiB, kGiB), Scope::Service},
    Entry{"limits.disk_free_bytes_min", "", "",
          "Free space of the data folder's disk; below, joins and clients of kept rooms that say something are closed "
          "with 1013",
          bytes<JAM_FIELD(server.limits.disk_free_bytes_min)>(kMiB, 1024 * kGiB)},
    Entry{"limits.fault_files_max", "", "", "Files about undone events; beyond, the oldest make way",
          count<JAM_FIELD(server.limits.fault_files_max)>(1, 100'000)},
    Entry{"limits.fault_file_bytes_max", "", "", "A file about an undone event; beyond, it is not written",
          bytes<JAM_FIELD(server.limits.fault_file_bytes_max)>(kKiB, kGiB)},
    Entry{"limits.verify_waiting_max", "", "",
          "Checkpoints that wait to be verified, each with its room; beyond, one is not (rooms_not_verified_total)",
          count<JAM_FIELD(server.limits.verify_waiting_max)>(1, 100'000)},
    Entry{"limits.room_memory_bytes_max", "", "", "A room's memory in a module; beyond, it cannot grow",
          pages<JAM_FIELD(module_limits.room_memory_bytes_max)>(64 * kKiB, 4 * kGiB), Scope::Service},
    Entry{"limits.room_stack_bytes_max", "", "", "A room's call stack in a module; beyond: the event fails",
          bytes<JAM_FIELD(module_limits.room_stack_bytes_max)>(16 * kKiB, kMiB)},
    Entry{"limits.room_table_elements_max", "", "",
          "Elements of each table of a module; beyond, it cannot grow, and a module that begins with more is refused",
          count<JAM_FIELD(module_limits.room_table_elements_max)>(1, 10'000'000), Scope::Service},
    Entry{"limits.event_cpu_ms_max", "", "", "Processor time of one event in a module; beyond: the event fails",
          milliseconds<JAM_FIELD(module_limits.event_cpu_max)>(1, 60'000), Scope::Service},
    Entry{"limits.event_wall_ms_max", "", "", "Time on the clock of one event in a module; beyond: the event fails",
          milliseconds<JAM_FIELD(module_limits.event_wall_max)>(1, kHourMs), Scope::Service},
};

#undef JAM_FIELD
#undef JAM_TEXT_FIELD
#undef JAM_LIST_FIELD

}  // namespace

std::span<const Entry> entries() { return kEntries; }

const Entry* find_entry(std::string_view key) {
  const auto found = std::ranges::find(kEntries, key, &Entry::key);
  return found == kEntries.end() ? nullptr : &*found;
}

std::string_view last_word(std::string_view key) {
  const std::size_t dot = key.find('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

const Entry* find_service_entry(std::string_view name) {
  const auto found = std::ranges::find_if(
      kEntries, [name](const Entry& entry) { return entry.scope == Scope::Service && last_word(entry.key) == name; });
  return found == kEntries.end() ? nullptr : &*found;
}

void copy_value(const Entry& entry, const Settings& from, Settings& to) {
  if (const Number* number = std::get_if<Number>(&entry.field)) {
    number->set(to, number->get(from));
    return;
  }
  Settings source = from;  // The accessors give references to change.
  if (const Text* text = std::get_if<Text>(&entry.field)) {
    text->field(to) = std::move(text->field(source));
  } else {
    const TextList& list = std::get<TextList>(entry.field);
    list.field(to) = std::move(list.field(source));
  }
}

std::string default_module_cache() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread, nothing sets it.
    return value == nullptr ? "" : value;
  };
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) {
    return cache + "/jamsocket/modules";
  }
  const std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/jamsocket/modules";
}

}  // namespace jamsocket::config
