#include "server/settings.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "base/log.hpp"
#include "base/number.hpp"
#include "config/patterns.hpp"

namespace jamsocket::server {
namespace {

constexpr std::uint32_t kShardsMax = 256;
// Descriptors that are not connections: the loops', the listeners', files being read, the log.
constexpr rlim_t kOtherDescriptors = 64;

std::uint32_t connections_from_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return 1'000'000;
  }
  const rlim_t usable =
      limit.rlim_cur > 2 * kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors : limit.rlim_cur / 2;
  return static_cast<std::uint32_t>(std::min<rlim_t>(usable, 10'000'000));
}

Result<void> check_range(std::string_view name, Milliseconds value, Milliseconds least, Milliseconds most) {
  if (value < least || value > most) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("{} is {} ms; allowed are {} to {} ms", name, value.count(), least.count(), most.count()));
  }
  return {};
}

Result<ws::DeflateOptions> deflate_options(const ServerOptions& options) {
  ws::DeflateOptions deflate;
  const auto bits = options.compression_window_bits;
  if (bits < 9 || bits > 15) {
    return fail(ErrorCode::InvalidArgument, fmt::format("compression_window_bits is {}; allowed are 9 to 15", bits));
  }
  deflate.server_window_bits = static_cast<std::uint8_t>(bits);
  deflate.client_window_bits = static_cast<std::uint8_t>(bits);
  deflate.enabled = options.compression != "off";
  if (options.compression == "context") {
    deflate.takeover = ws::ContextTakeover::Yes;
  } else if (options.compression != "off" && options.compression != "message") {
    return fail(ErrorCode::InvalidArgument, fmt::format("compression '{}' is not one of off, message, context",
                                                        escape_for_log(options.compression, 40)));
  }
  return deflate;
}

Result<room::Durability> durability(const ServerOptions& options) {
  const bool has_folder = !options.data_dir.empty();
  if (options.durability == "auto") {
    return has_folder ? room::Durability::Local : room::Durability::None;
  }
  if (options.durability == "none") {
    return room::Durability::None;
  }
  if (options.durability != "async" && options.durability != "local") {
    return fail(ErrorCode::InvalidArgument, fmt::format("durability '{}' is not one of auto, none, async, local",
                                                        escape_for_log(options.durability, 40)));
  }
  if (!has_folder) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("durability '{}' needs a data directory (--data DIR; in a program, data_dir)", options.durability));
  }
  return options.durability == "async" ? room::Durability::Async : room::Durability::Local;
}

Result<room::Upgrade> upgrade(const ServerOptions& options) {
  constexpr std::pair<std::string_view, room::Upgrade> kNames[] = {{"keep", room::Upgrade::Keep},
                                                                   {"restart", room::Upgrade::Restart},
                                                                   {"replay", room::Upgrade::Replay},
                                                                   {"migrate", room::Upgrade::Migrate}};
  for (const auto& [name, value] : kNames) {
    if (name == options.upgrade) {
      return value;
    }
  }
  return fail(ErrorCode::InvalidArgument, fmt::format("upgrade '{}' is not one of keep, restart, replay, migrate",
                                                      escape_for_log(options.upgrade, 40)));
}

// A command that looks at the rooms has their folder for a moment; a server that is restarted then must not fail.
constexpr std::chrono::milliseconds kLockWait{3'000};

Result<store::SqliteStoreOptions> store_options(const ServerOptions& server) {
  const ServerLimits& limits = server.limits;
  store::SqliteStoreOptions options;
  const auto history = config::parse_history(server.history);
  if (!history) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("history '{}' is not {}", escape_for_log(server.history, 40), config::kHistories));
  }
  options.database.history = {.age_max = history->age_max, .bytes_max = history->bytes_max, .all = history->all};
  options.free_bytes_min = limits.disk_free_bytes_min;
  options.checkpoint_backlog_bytes_max = limits.checkpoint_backlog_bytes_max;
  options.database.mend = store::DatabaseOptions::Mend::WhereNeeded;
  options.database.lock_wait = kLockWait;
  options.fault_files_max = limits.fault_files_max;
  options.fault_file_bytes_max = limits.fault_file_bytes_max;
  return options;
}

Result<session::SessionSettings> session_settings(const ServerOptions& options) {
  using namespace std::chrono_literals;
  const ServerLimits& limits = options.limits;
  JAM_TRY_VOID(check_range("heartbeat_interval", options.heartbeat_interval, 100ms, 24h));
  JAM_TRY_VOID(check_range("heartbeat_timeout", options.heartbeat_timeout, 200ms, 48h));
  if (options.heartbeat_timeout <= options.heartbeat_interval) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("heartbeat_timeout ({} ms) must be longer than heartbeat_interval ({} ms), or a client that "
                    "answers every ping would be closed",
                    options.heartbeat_timeout.count(), options.heartbeat_interval.count()));
  }
  JAM_TRY_VOID(check_range("message_timeout", limits.message_timeout, 1ms, 24h));
  JAM_TRY_VOID(check_range("handshake_timeout", limits.handshake_timeout, 1ms, 24h));
  JAM_TRY_VOID(check_range("close_timeout", limits.close_timeout, 1ms, 1h));
  if (limits.message_bytes_max == 0 || limits.message_bytes_max > (std::size_t{1} << 30U)) {
    return fail(ErrorCode::InvalidArgument, fmt::format("message_bytes_max is {}; allowed are 1 to {}",
                                                        limits.message_bytes_max, std::size_t{1} << 30U));
  }
  session::SessionSettings settings;
  settings.reader = {.message_bytes_max = limits.message_bytes_max, .fragments_max = limits.fragments_max};
  settings.outbox = {.bytes_max = limits.outbound_bytes_max, .messages_max = limits.outbound_messages_max};
  if (limits.client_bytes_per_second_max != 0 && limits.client_bytes_per_second_max < 1024) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("client_bytes_per_second_max is {}; allowed are 0 and 1024 or more",
                            limits.client_bytes_per_second_max));
  }
  settings.inbound = {.messages = {.amount_max = limits.client_messages_per_second_max},
                      .bytes = {.amount_max = limits.client_bytes_per_second_max}};
  settings.ping_after = static_cast<session::Tick>(options.heartbeat_interval / session::kTickLength);
  settings.dead_after = static_cast<session::Tick>(options.heartbeat_timeout / session::kTickLength);
  settings.join_timeout = limits.handshake_timeout;
  settings.message_timeout = limits.message_timeout;
  settings.close_timeout = limits.close_timeout;
  return settings;
}

Result<TokenSettings> token_settings(const TokenOptions& options) {
  using Mode = TokenSettings::Mode;
  TokenSettings tokens;
  if (options.mode != "off" && options.mode != "optional" && options.mode != "required") {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("tokens '{}' is not one of off, optional, required", escape_for_log(options.mode, 40)));
  }
  tokens.mode = options.mode == "off" ? Mode::Off : options.mode == "optional" ? Mode::Optional : Mode::Required;
  if (tokens.mode != Mode::Off && options.keys.empty()) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("tokens is {} and there are no keys to check them with; allowed: token_keys, a file of keys "
                    "or a folder of such files",
                    options.mode));
  }
  const auto has = [&](std::string_view carrier) {
    return std::ranges::find(options.carriers, carrier) != options.carriers.end();
  };
  tokens.keys = options.keys;
  tokens.carriers = {.subprotocol = has("subprotocol"),
                     .authorization = has("authorization"),
                     .ticket = has("ticket"),
                     .message = has("message")};
  JAM_TRY_VOID(check_range("token_leeway", options.leeway, Milliseconds{0}, std::chrono::minutes{5}));
  JAM_TRY_VOID(check_range("token_message_timeout", options.message_timeout, Milliseconds{1}, std::chrono::hours{1}));
  JAM_TRY_VOID(check_range("ticket_lifetime", options.ticket_lifetime, Milliseconds{100}, std::chrono::hours{1}));
  tokens.rules = {.audiences = options.audiences,
                  .issuers = options.issuers,
                  .required = options.required_claims,
                  .leeway = options.leeway};
  tokens.message_timeout = options.message_timeout;
  tokens.message_bytes_max = options.message_bytes_max;
  tokens.tickets = {.tickets_max = options.tickets_max, .lifetime = options.ticket_lifetime};
  return tokens;
}

Result<room::ReturnSettings> return_settings(const ReturnOptions& options) {
  room::ReturnSettings returning;
  JAM_TRY_VOID(check_range("return_within", options.within, Milliseconds{0}, std::chrono::hours{24}));
  if (options.twice != "newer" && options.twice != "both") {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("return_twice '{}' is not one of newer, both", escape_for_log(options.twice, 40)));
  }
  const bool both = options.tell == "both";
  if (!both && options.tell != "header" && options.tell != "message" && options.tell != "none") {
    return fail(ErrorCode::InvalidArgument, fmt::format("return_tell '{}' is not one of header, message, both, none",
                                                        escape_for_log(options.tell, 40)));
  }
  returning.within = options.within;
  returning.twice = options.twice == "both" ? room::ReturnSettings::Twice::Both : room::ReturnSettings::Twice::Newer;
  returning.telling = {.by_header = both || options.tell == "header", .by_message = both || options.tell == "message"};
  returning.queue_bytes_max = options.queue_bytes_max;
  return returning;
}

Result<std::optional<AdminSettings>> admin_settings(const ServerOptions& options) {
  if (options.admin_port == "off") {
    return std::nullopt;
  }
  AdminSettings admin{.host = options.admin_host,
                      .port = 0,
                      .token_file = options.admin_token_file,
                      .room_files = {.import_bytes_max = options.admin_import_bytes_max,
                                     .export_bytes_max = options.admin_export_bytes_max}};
  const auto port = parse_number<std::uint16_t>(options.admin_port);
  if (!port) {
    return fail(ErrorCode::InvalidArgument, fmt::format("admin_port is '{}'; allowed are off and 0 to 65535",
                                                        escape_for_log(options.admin_port, 40)));
  }
  admin.port = *port;
  if (!config::is_loopback(admin.host) && admin.token_file.empty()) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("admin_host is {}, which others can reach; allowed are an address of this machine only, "
                            "like 127.0.0.1, or an admin_token_file besides",
                            escape_for_log(admin.host, 100)));
  }
  return admin;
}

Result<std::vector<Endpoint>> endpoints_of(const ServerOptions& options) {
  if (options.listen.empty()) {
    return std::vector<Endpoint>{{.host = options.host, .port = options.port}};
  }
  std::vector<Endpoint> endpoints;
  for (const std::string& text : options.listen) {
    auto endpoint = Endpoint::parse(text);
    if (!endpoint) {
      return fail(
          ErrorCode::InvalidArgument,
          fmt::format("listen has '{}'; allowed are HOST:PORT, [IPV6]:PORT and unix:/PATH", escape_for_log(text, 200)));
    }
    endpoints.push_back(*std::move(endpoint));
  }
  return endpoints;
}

Result<mode_t> parse_unix_mode(const std::string& text) {
  const auto mode = parse_number<mode_t>(text, 8);
  if (!mode || *mode > 0777 || (*mode & 0600U) != 0600U) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("unix_mode is '{}'; allowed are octal numbers from 0600 to 0777", escape_for_log(text, 40)));
  }
  return *mode;
}

Result<ProxySettings> proxy_settings(const ServerOptions& options) {
  ProxySettings proxies;
  proxies.header_bytes_max = options.limits.proxy_header_bytes_max;
  for (const std::string& text : options.proxies_trusted) {
    if (text == "unix") {
      proxies.trusts_unix = true;
      continue;
    }
    const auto network = IpNetwork::parse(text);
    if (!network) {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("proxies_trusted has '{}'; allowed are IP addresses, networks "
                              "like 10.0.0.0/8, and unix",
                              escape_for_log(text, 100)));
    }
    proxies.trusted.push_back(*network);
  }
  if (options.proxy_protocol != "off" && options.proxy_protocol != "required") {
    return fail(ErrorCode::InvalidArgument, fmt::format("proxy_protocol '{}' is not one of off, required",
                                                        escape_for_log(options.proxy_protocol, 40)));
  }
  proxies.header_is_required = options.proxy_protocol == "required";
  if (options.forwarded_header == "x-forwarded-for") {
    proxies.forwarded = http::ForwardedHeader::XForwardedFor;
  } else if (options.forwarded_header == "forwarded") {
    proxies.forwarded = http::ForwardedHeader::Forwarded;
  } else if (options.forwarded_header != "off") {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("forwarded_header '{}' is not one of off, x-forwarded-for, forwarded",
                            escape_for_log(options.forwarded_header, 40)));
  }
  if (proxies.header_is_required && proxies.forwarded) {
    return fail(ErrorCode::InvalidArgument,
                "proxies say for whom they speak by the PROXY protocol or by a header; allowed is one of the two");
  }
  if (proxies.trusted.empty() && !proxies.trusts_unix && (proxies.header_is_required || proxies.forwarded)) {
    return fail(ErrorCode::InvalidArgument,
                "no proxy is trusted, so none can say for whom it speaks; name them in proxies.trusted");
  }
  return proxies;
}

Result<MemoryMarks> memory_marks(const ServerLimits& limits) {
  const MemoryMarks marks{.high_bytes = limits.memory_high_bytes, .critical_bytes = limits.memory_critical_bytes};
  if (marks.high_bytes != 0 && marks.critical_bytes != 0 && marks.critical_bytes < marks.high_bytes) {
    return fail(
        ErrorCode::InvalidArgument,
        fmt::format("memory_critical_bytes is {}; allowed are 0 and what is not below memory_high_bytes, which is "
                    "{}",
                    marks.critical_bytes, marks.high_bytes));
  }
  return marks;
}

Result<Scheduling> parse_scheduling(std::string_view text) {
  if (text != "batch" && text != "normal") {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("scheduling '{}' is not one of batch, normal", escape_for_log(text, 40)));
  }
  return text == "batch" ? Scheduling::Batch : Scheduling::Normal;
}

Result<TlsSettings> tls_settings(const ServerOptions& options) {
  TlsSettings tls;
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return fail(ErrorCode::InvalidArgument, options.tls_key.empty()
                                                ? "tls.cert is set but tls.key is not; allowed: both, or neither"
                                                : "tls.key is set but tls.cert is not; allowed: both, or neither");
  }
  if (!options.tls_cert.empty()) {
    tls.files = io::TlsFiles{.certificate = options.tls_cert, .key = options.tls_key};
  }
  tls.limits.asked_changes_max = options.limits.tls_key_updates_max;
  tls.handshakes_max = std::max(options.limits.tls_handshakes_max, 1U);
  return tls;
}

}  // namespace

bool ProxySettings::trusts(const IpAddress& address) const {
  return std::ranges::any_of(trusted, [&](const IpNetwork& network) { return network.contains(address); });
}

bool ProxySettings::trusts(const io::PeerAddress& peer) const {
  if (trusted.empty() && !trusts_unix) [[likely]] {
    return false;
  }
  return peer.is_unix() ? trusts_unix : trusts(peer.ip());
}

Result<ServiceSettings> ServiceSettings::from(const ServerOptions& options) {
  using AfterFailure = room::RoomSettings::AfterFailure;
  ServiceSettings settings;
  settings.strategy = JAM_TRY(room::RoomStrategy::parse(options.room_strategy));
  settings.room.shutdown_policy = JAM_TRY(room::ShutdownPolicy::parse(options.shutdown_policy));
  settings.room.inbox_bytes_max = options.limits.inbox_bytes_max;
  settings.room.clients_max = options.limits.clients_per_room_max;
  settings.room.cpu_per_second_max = options.limits.room_cpu_per_second_max;
  settings.room.log_lines_per_second_max = options.limits.log_lines_per_second_max;
  settings.room.after_failure = settings.strategy.joining_makes_rooms() ? AfterFailure::End : AfterFailure::StartAfresh;
  settings.room.durability = JAM_TRY(durability(options));
  JAM_TRY_VOID(check_range("sleep_after", options.sleep_after, Milliseconds{1}, std::chrono::hours{24 * 365}));
  settings.room.sleep_after = options.sleep_after;
  settings.room.checkpoints = {.events = options.limits.checkpoint_events_max,
                               .log_bytes = options.limits.checkpoint_log_bytes_max,
                               .cpu = options.limits.checkpoint_cpu_max};
  settings.room.gate = {.events_max = options.limits.room_in_flight_events_max,
                        .bytes_max = options.limits.room_in_flight_bytes_max};
  settings.room.aside = {.failures = std::max(options.limits.failures_before_back_off, 1U),
                         .first = options.limits.back_off_first,
                         .most = options.limits.back_off_most};
  settings.room.upgrade = JAM_TRY(upgrade(options));
  settings.rooms_max = options.limits.rooms_per_service_max;
  settings.subprotocols = options.subprotocols;
  settings.origins = JAM_TRY(auth::OriginRules::parse(options.origins));
  settings.tokens = JAM_TRY(token_settings(options.tokens));
  settings.room.returning = JAM_TRY(return_settings(options.returning));
  settings.static_dir = options.static_dir;
  for (std::string name : options.client_headers) {
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    settings.client_headers.push_back(std::move(name));
  }
  return settings;
}

service::EffectLimits effect_limits(const ServerLimits& limits) {
  return {.sends_max = limits.sends_per_event_max,
          .send_bytes_max = limits.send_bytes_per_event_max,
          .log_bytes_max = limits.log_bytes_per_event_max,
          .log_lines_max = limits.log_lines_per_event_max};
}

Result<Settings> Settings::from(const ServerOptions& options) {
  using namespace std::chrono_literals;
  const ServerLimits& limits = options.limits;
  Settings settings;
  settings.endpoints = JAM_TRY(endpoints_of(options));
  settings.unix_mode = JAM_TRY(parse_unix_mode(options.unix_mode));
  if (options.unsent_bytes_max < 4096 || options.unsent_bytes_max > (std::size_t{1} << 30U)) {
    return fail(ErrorCode::InvalidArgument, fmt::format("unsent_bytes_max is {}; allowed are 4096 to {}",
                                                        options.unsent_bytes_max, std::size_t{1} << 30U));
  }
  settings.unsent_bytes_max = options.unsent_bytes_max;
  settings.proxies = JAM_TRY(proxy_settings(options));
  settings.connections_per_subject = {.places_max = limits.connections_per_subject_max};
  settings.connections_per_address = {.places_max = limits.connections_per_address_max,
                                      .rate = {.amount_max = limits.connections_per_address_per_second_max}};
  settings.rooms_per_address.rate = {.amount_max = limits.rooms_per_address_per_minute_max,
                                     .period = std::chrono::minutes{1}};
  settings.memory = JAM_TRY(memory_marks(limits));
  if (options.shards > kShardsMax) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("shards is {}; allowed are 0 (one a core) to {}", options.shards, kShardsMax));
  }
  settings.shards =
      options.shards != 0 ? options.shards : std::clamp(std::thread::hardware_concurrency(), 1U, kShardsMax);
  settings.hosts = JAM_TRY(auth::HostRules::parse(options.hosts));
  settings.data_dir = options.data_dir;
  settings.store = JAM_TRY(store_options(options));
  if (options.verify != "on" && options.verify != "off") {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("verify '{}' is not one of off, on", escape_for_log(options.verify, 40)));
  }
  settings.verify = options.verify == "on";
  settings.scheduling = JAM_TRY(parse_scheduling(options.scheduling));
  settings.verify_waiting_max = limits.verify_waiting_max;
  settings.session = JAM_TRY(session_settings(options));
  JAM_TRY_VOID(check_range("drain_timeout", options.drain_timeout, 0ms, 24h));
  settings.drain_timeout = options.drain_timeout;
  settings.http.request = {.request_line_bytes_max = limits.request_line_bytes_max,
                           .headers_bytes_max = limits.headers_bytes_max,
                           .headers_max = limits.headers_max};
  settings.http.request_timeout = limits.handshake_timeout;
  settings.http.linger_timeout = limits.close_timeout;
  settings.effects = effect_limits(limits);
  JAM_TRY_VOID(check_range("overlong_call", limits.overlong_call, 1ms, 1h));
  settings.overlong_call = limits.overlong_call;
  JAM_TRY_VOID(check_range("slow_call_idle_max", limits.slow_call_idle_max, 1ms, 1h));
  settings.slow_calls = {.count_max = limits.slow_calls_max, .idle_max = limits.slow_call_idle_max};
  JAM_TRY_VOID(check_range("token_cpu_per_second_max", limits.token_cpu_per_second_max, 1ms, 1s));
  settings.token_cpu_per_second_max = limits.token_cpu_per_second_max;
  JAM_TRY_VOID(check_range("back_off_first", limits.back_off_first, 1ms, 1h));
  JAM_TRY_VOID(check_range("back_off_most", limits.back_off_most, limits.back_off_first, 24h));
  settings.back_off = {.failures = std::max(limits.failures_before_back_off, 1U),
                       .first = limits.back_off_first,
                       .most = limits.back_off_most};
  settings.connections_max = limits.connections_max != 0 ? limits.connections_max : connections_from_open_files_limit();
  settings.rooms_max = limits.rooms_max;
  settings.room_id_bytes_max = limits.room_id_bytes_max;
  settings.deflate = JAM_TRY(deflate_options(options));
  settings.tls = JAM_TRY(tls_settings(options));
  settings.admin = JAM_TRY(admin_settings(options));
  settings.static_dir = options.static_dir;
  settings.client_dir = options.client_dir;
  return settings;
}

}  // namespace jamsocket::server
