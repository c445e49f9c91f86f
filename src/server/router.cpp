#include "server/router.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "http/target.hpp"
#include "http/upgrade.hpp"
#include "ws/handshake.hpp"

namespace jamsocket::server {
namespace {

http::Response method_not_allowed(std::string_view allowed) {
  http::Response response = http::text_response(405, fmt::format("This path allows {} only.", allowed));
  response.add("Allow", allowed);
  return response;
}

StaticResponse whole_text(int status, std::string_view text) {
  return whole_response(http::text_response(status, text));
}

bool is_read(const http::Request& request) {
  return request.method == http::Method::Get || request.method == http::Method::Head;
}

enum class HideSecrets : std::uint8_t { No, Yes };

// What a service sees is kept with its rooms: no token may be in it.
std::unique_ptr<service::ConnectInfo> connect_info(const http::Request& request, const std::string& remote_address,
                                                   const std::vector<std::string>& wanted,
                                                   const std::vector<std::string>& subprotocols,
                                                   HideSecrets hides_secrets) {
  auto info = std::make_unique<service::ConnectInfo>();
  info->query = hides_secrets == HideSecrets::Yes ? without_secrets(request.query) : request.query;
  info->remote_address = remote_address;
  for (const std::string& name : wanted) {
    const bool is_secret = hides_secrets == HideSecrets::Yes && name == "authorization";
    if (request.header(name) && name != service::kSubprotocolHeader && !is_secret) {
      info->headers.emplace_back(name, request.header_joined(name));
    }
  }
  if (!subprotocols.empty()) {
    info->headers.emplace_back(service::kSubprotocolHeader, fmt::format("{}", fmt::join(subprotocols, ", ")));
  }
  return info;
}

// The client's order is its preference (RFC 6455 section 4.1).
std::string_view choose_protocol(const std::vector<std::string>& offered, const std::vector<std::string>& accepted) {
  const auto chosen = std::ranges::find_first_of(offered, accepted);
  return chosen == offered.end() ? std::string_view() : std::string_view(*chosen);
}

struct ServicePath {
  HostedServicePtr service;
  std::string_view rest;  ///< Behind the service's name.
};

// Names are matched as they are sent: none has a character that must be encoded.
std::expected<ServicePath, Decision> find_service(std::string_view path, const ServiceTable& services) {
  if (services.has_named()) {
    if (const std::size_t slash = path.find('/'); slash != std::string_view::npos) {
      HostedServicePtr named = services.find(path.substr(0, slash));
      if (slash == 0 || named == nullptr) {
        return std::unexpected(Answer{whole_text(404, kServiceUnknown), Answer::Then::Close});
      }
      return ServicePath{std::move(named), path.substr(slash + 1)};
    }
  }
  HostedServicePtr unnamed = services.find({});
  if (unnamed == nullptr) {
    return std::unexpected(
        Answer{whole_text(404, services.has_named() ? kServiceUnnamed : kServiceUnknown), Answer::Then::Close});
  }
  return ServicePath{std::move(unnamed), path};
}

// A page in a browser may reach rooms only if its origin may; other programs send none, or what they like.
std::optional<Answer> check_origin(const http::Request& request, const HostedService& service) {
  const auto origin = request.header("Origin");
  if (!origin || (request.header_count("Origin") == 1 && service.settings.origins.allows(*origin, request.authority))) {
    return std::nullopt;
  }
  return Answer{
      whole_text(403, "Pages of this origin may not connect here; the server's setting auth.origins says which may."),
      Answer::Then::Close, Counter::OriginsRefused};
}

Answer bad_room_id(const Error& error) {
  const bool is_long = error.code == ErrorCode::TooLarge;
  return {whole_text(400, error.message), Answer::Then::Close,
          is_long ? std::optional(Counter::LimitRoomId) : std::nullopt};
}

Decision decide_new_room(const http::Request& request, const HostedServicePtr& service) {
  if (request.method != http::Method::Post) {
    return Answer{whole_response(method_not_allowed("POST"))};
  }
  if (service == nullptr) {
    return Answer{whole_text(404, kServiceUnknown)};
  }
  if (auto refusal = check_origin(request, *service)) {
    return *std::move(refusal);
  }
  if (!service->settings.strategy.generates_ids()) {
    return Answer{whole_text(400, "Room ID generation is disabled; rooms must be created with an explicit ID.")};
  }
  auto credential = take_credential(request, service->settings.tokens.carriers, nullptr);
  if (!credential) {
    return Answer{whole_response(std::move(credential).error())};
  }
  return GenerateRoom{.service = service->path_name, .credential = *std::move(credential)};
}

// What a request that opens a WebSocket says of itself, and which subprotocol it is answered with.
struct Introduction {
  Credential credential;
  std::string resume;
  std::string protocol;
};
std::expected<Introduction, http::Response> introduction_of(const http::Request& request,
                                                            const ServiceSettings& service,
                                                            std::vector<std::string> offered) {
  Introduction introduction;
  const std::size_t offered_count = offered.size();
  if (service.tokens.mode != TokenSettings::Mode::Off) {
    auto credential = take_credential(request, service.tokens.carriers, &offered);
    if (!credential) {
      return std::unexpected(std::move(credential).error());
    }
    introduction.credential = *std::move(credential);
  }
  if (service.room.returning.within > Milliseconds{0}) {
    introduction.resume = take_resume(request, offered);
  }
  introduction.protocol = choose_protocol(offered, service.subprotocols);
  if (offered.size() != offered_count && introduction.protocol.empty()) {
    // Without an answer a browser would give the connection up. If the service names none, any will do.
    if (!service.subprotocols.empty() || offered.empty()) {
      return std::unexpected(
          http::text_response(400, "A token among the subprotocols needs one beside it that this service speaks."));
    }
    introduction.protocol = offered.front();
  }
  return introduction;
}

Decision decide_ticket(const http::Request& request, std::string_view path, const Settings& settings,
                       const ServiceTable& services) {
  auto found = find_service(path, services);
  if (!found) {
    return std::move(found).error();
  }
  const HostedService& service = *found->service;
  const TokenSettings& tokens = service.settings.tokens;
  if (tokens.mode == TokenSettings::Mode::Off || !tokens.carriers.ticket) {
    return Answer{whole_text(404, "This service gives no tickets.")};
  }
  if (auto refusal = check_origin(request, service)) {
    return *std::move(refusal);
  }
  Result<std::string> id = http::decode_room_id(found->rest, settings.room_id_bytes_max);
  if (!id) {
    return bad_room_id(id.error());
  }
  auto credential = take_credential(request, {.subprotocol = false, .authorization = true, .ticket = false}, nullptr);
  if (!credential) {
    return Answer{whole_response(std::move(credential).error())};
  }
  return IssueTicket{.service = service.path_name, .room_id = *std::move(id), .credential = *std::move(credential)};
}

Decision decide_room(const http::Request& request, std::string_view path, const std::string& remote_address,
                     const Settings& settings, const ServiceTable& services) {
  const bool is_post = request.method == http::Method::Post;
  if (request.method != http::Method::Get && !is_post) {
    return Answer{whole_response(method_not_allowed("GET, POST"))};
  }
  auto found = find_service(path, services);
  if (!found) {
    return std::move(found).error();
  }
  const HostedService& service = *found->service;
  Result<std::string> id = http::decode_room_id(found->rest, settings.room_id_bytes_max);
  if (!id) {
    return bad_room_id(id.error());
  }
  if (auto refusal = check_origin(request, service); refusal && request.header_count("Origin") == 1) {
    return *std::move(refusal);
  }
  if (is_post) {
    if (!service.settings.strategy.explicit_ids()) {
      return Answer{whole_text(403, "Explicit room creation is not enabled.")};
    }
    auto credential = take_credential(request, service.settings.tokens.carriers, nullptr);
    if (!credential) {
      return Answer{whole_response(std::move(credential).error())};
    }
    return MakeRoom{.service = service.path_name, .room_id = *std::move(id), .credential = *std::move(credential)};
  }
  const auto upgrade = http::check_upgrade(request);
  if (!upgrade) {
    return Answer{whole_response(upgrade.error()), Answer::Then::Close};
  }
  const auto deflate = ws::negotiate_deflate(upgrade->extensions, settings.deflate);
  if (!deflate) {
    return Answer{whole_text(400, deflate.error().message), Answer::Then::Close};
  }
  auto introduction = introduction_of(request, service.settings, upgrade->protocols);
  if (!introduction) {
    return Answer{whole_response(std::move(introduction).error()), Answer::Then::Close};
  }
  const std::string accept = ws::accept_key(upgrade->key);
  const bool has_secrets = service.settings.tokens.mode != TokenSettings::Mode::Off ||
                           service.settings.room.returning.within > Milliseconds{0};
  const HideSecrets hides = has_secrets ? HideSecrets::Yes : HideSecrets::No;
  JoinRoom join{
      .service = service.path_name,
      .room_id = *std::move(id),
      .response = {},
      .info = connect_info(request, remote_address, service.settings.client_headers, upgrade->protocols, hides),
      .deflate = {},
      .credential = std::move(introduction->credential),
      .admission = {}};
  join.admission.resume = std::move(introduction->resume);
  std::string_view extensions;
  if (deflate->has_value()) {
    join.deflate = (*deflate)->agreement;
    extensions = (*deflate)->answer;
  }
  join.response =
      http::upgrade_response({.accept = accept, .protocol = introduction->protocol, .extensions = extensions});
  return join;
}

Decision decide_file(const http::Request& request, const StaticFiles* files, std::string_view encoded_path) {
  if (!is_read(request)) {
    return Answer{whole_response(method_not_allowed("GET, HEAD"))};
  }
  if (files == nullptr) {
    return Answer{whole_text(404, "There is nothing at this path.")};
  }
  const Result<std::string> path = http::decode_file_path(encoded_path);
  if (!path) {
    return Answer{whole_text(400, path.error().message)};
  }
  return Answer{files->get(request, *path)};
}

// Relative links of a page at /client would lead out of it.
StaticResponse to_folder(const http::Request& request, std::string_view folder) {
  http::Response response = http::text_response(308, fmt::format("The client is at {}.", folder));
  response.add("Location", request.query.empty() ? std::string(folder) : fmt::format("{}?{}", folder, request.query));
  return whole_response(std::move(response));
}

// /{service}/... are that service's files, if it has some; anything else is the site's.
Decision decide_static(const http::Request& request, const StaticFiles* site, std::string_view path,
                       const ServiceTable& services) {
  if (services.has_named() && path.starts_with('/')) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const HostedServicePtr service = end > 1 ? services.find(path.substr(1, end - 1)) : nullptr;
    if (service != nullptr && service->files != nullptr) {
      return end == path.size() ? Answer{to_folder(request, fmt::format("/{}/", service->path_name))}
                                : decide_file(request, service->files.get(), path.substr(end));
    }
  }
  return decide_file(request, site, path);
}

Decision decide_path(const http::Request& request, const std::string& remote_address, const Settings& settings,
                     const Files& files, const ServiceTable& services) {
  const http::Route route = http::route(request.path);
  if (route.kind != http::RouteKind::Status && !settings.hosts.allows(request.authority)) {
    return Answer{
        whole_text(421, "This server does not answer to that name; its setting auth.hosts says to which it does."),
        Answer::Then::Close, Counter::HostsRefused};
  }
  switch (route.kind) {
    case http::RouteKind::Status:
      return Answer{
          whole_response(is_read(request) ? http::text_response(200, "ok") : method_not_allowed("GET, HEAD"))};
    case http::RouteKind::NewRoom:
      return decide_new_room(request, services.find(route.rest));
    case http::RouteKind::Room:
      return decide_room(request, route.rest, remote_address, settings, services);
    case http::RouteKind::Ticket:
      return request.method == http::Method::Post ? decide_ticket(request, route.rest, settings, services)
                                                  : decide_static(request, files.site, request.path, services);
    case http::RouteKind::Client:
      return route.rest.empty() && files.client != nullptr ? Answer{to_folder(request, "/client/")}
                                                           : decide_file(request, files.client, route.rest);
    case http::RouteKind::Static:
      return decide_static(request, files.site, route.rest, services);
  }
  return Answer{whole_text(404, "There is nothing at this path.")};
}

}  // namespace

Decision decide(const http::Request& request, const std::string& remote_address, const Settings& settings,
                const Files& files, const ServiceTable& services) {
  Decision decision = decide_path(request, remote_address, settings, files, services);
  // What a client sends behind an upgrade that it did not get may be frames: never to be read as requests.
  if (auto* answer = std::get_if<Answer>(&decision); answer != nullptr && http::wants_upgrade(request)) {
    answer->then = Answer::Then::Close;
  }
  return decision;
}

http::Response room_made(const std::string& room_id) { return http::text_response(200, room_id); }

http::Response room_exists() { return http::text_response(409, "Attempted to create a room that already exists."); }

std::string room_rests(Milliseconds rest) {
  return fmt::format("The room keeps failing; try again in {} s.",
                     std::chrono::ceil<std::chrono::seconds>(rest).count());
}

http::Response too_many_rooms(const Settings& settings, const HostedService& service) {
  return http::text_response(503, fmt::format("The server has as many rooms as it may have ({}, of one service {}); "
                                              "try later.",
                                              settings.rooms_max, service.settings.rooms_max));
}

}  // namespace jamsocket::server
