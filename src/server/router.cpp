#include "server/router.hpp"

#include <fmt/format.h>

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

std::unique_ptr<service::ConnectInfo> connect_info(const http::Request& request, const std::string& remote_address,
                                                   const std::vector<std::string>& wanted) {
  auto info = std::make_unique<service::ConnectInfo>();
  info->query = request.query;
  info->remote_address = remote_address;
  for (const std::string& name : wanted) {
    if (request.header(name)) {
      info->headers.emplace_back(name, request.header_joined(name));
    }
  }
  return info;
}

// The client's order is its preference (RFC 6455 section 4.1).
std::string_view choose_protocol(const std::vector<std::string>& offered, const std::vector<std::string>& accepted) {
  const auto chosen = std::ranges::find_first_of(offered, accepted);
  return chosen == offered.end() ? std::string_view() : std::string_view(*chosen);
}

Decision decide_room(const http::Request& request, std::string_view encoded_id, const std::string& remote_address,
                     const Settings& settings) {
  const bool is_post = request.method == http::Method::Post;
  if (request.method != http::Method::Get && !is_post) {
    return Answer{whole_response(method_not_allowed("GET, POST"))};
  }
  Result<std::string> id = http::decode_room_id(encoded_id, settings.room_id_bytes_max);
  if (!id) {
    return Answer{whole_text(400, id.error().message), Answer::Then::Close};
  }
  if (is_post) {
    if (!settings.strategy.explicit_ids()) {
      return Answer{whole_text(403, "Explicit room creation is not enabled.")};
    }
    return MakeRoom{*std::move(id)};
  }
  const auto upgrade = http::check_upgrade(request);
  if (!upgrade) {
    return Answer{whole_response(upgrade.error()), Answer::Then::Close};
  }
  const auto deflate = ws::negotiate_deflate(upgrade->extensions, settings.deflate);
  if (!deflate) {
    return Answer{whole_text(400, deflate.error().message), Answer::Then::Close};
  }
  const std::string accept = ws::accept_key(upgrade->key);
  JoinRoom join{.room_id = *std::move(id),
                .response = {},
                .info = connect_info(request, remote_address, settings.client_headers),
                .deflate = {}};
  std::string_view extensions;
  if (deflate->has_value()) {
    join.deflate = (*deflate)->agreement;
    extensions = (*deflate)->answer;
  }
  join.response = http::upgrade_response({.accept = accept,
                                          .protocol = choose_protocol(upgrade->protocols, settings.subprotocols),
                                          .extensions = extensions});
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
StaticResponse to_client_folder(const http::Request& request) {
  http::Response response = http::text_response(308, "The client is at /client/.");
  response.add("Location", request.query.empty() ? "/client/" : "/client/?" + request.query);
  return whole_response(std::move(response));
}

}  // namespace

Decision decide(const http::Request& request, const std::string& remote_address, const Settings& settings,
                const Files& files) {
  const http::Route route = http::route(request.path);
  switch (route.kind) {
    case http::RouteKind::Status:
      return Answer{
          whole_response(is_read(request) ? http::text_response(200, "ok") : method_not_allowed("GET, HEAD"))};
    case http::RouteKind::NewRoom:
      if (request.method != http::Method::Post) {
        return Answer{whole_response(method_not_allowed("POST"))};
      }
      if (!settings.strategy.generates_ids()) {
        return Answer{whole_text(400, "Room ID generation is disabled; rooms must be created with an explicit ID.")};
      }
      return GenerateRoom{};
    case http::RouteKind::Room:
      return decide_room(request, route.rest, remote_address, settings);
    case http::RouteKind::Client:
      return route.rest.empty() && files.client != nullptr ? Answer{to_client_folder(request)}
                                                           : decide_file(request, files.client, route.rest);
    case http::RouteKind::Static:
      return decide_file(request, files.site, route.rest);
  }
  return Answer{whole_text(404, "There is nothing at this path.")};
}

http::Response room_made(const std::string& room_id) { return http::text_response(200, room_id); }

http::Response room_exists() { return http::text_response(409, "Attempted to create a room that already exists."); }

http::Response too_many_rooms(std::uint32_t rooms_max) {
  return http::text_response(503,
                             fmt::format("The server has as many rooms as it may have ({}); try later.", rooms_max));
}

}  // namespace jamsocket::server
