#include "server/admin_routes.hpp"

#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/number.hpp"
#include "http/target.hpp"
#include "server/kept_routes.hpp"
#include "server/metrics.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::server {
namespace {

using http::Method;
using nlohmann::json;

constexpr std::size_t kListedMax = 10'000;
constexpr std::size_t kListedByDefault = 100;
constexpr std::size_t kCloseReasonBytesMax = 123;  // RFC 6455 section 5.5: a control frame has 125 bytes.
// A module may take as long as its compiler is given, and changes before it as well.
constexpr std::chrono::minutes kLoadingTimeout{10};
constexpr std::string_view kNoRoom = "There is no such room.";

// --- Asking the shards
// ------------------------------------------------------------------------------------------------------

// Runs `ask` in every shard, then `done` with all answers in the listener's thread. Never, if a shard has ended: the
// call's deadline answers then.
template <class Ask, class Done>
void ask_all(std::span<const std::unique_ptr<Shard>> shards, AdminListener& listener, const Ask& ask, Done done) {
  using Answer = std::invoke_result_t<Ask, Shard&>;
  struct Gathering {
    std::vector<Answer> answers;  // The listener's thread alone touches them.
    std::size_t missing;
    Done done;
  };
  auto gathering =
      std::make_shared<Gathering>(Gathering{.answers = {}, .missing = shards.size(), .done = std::move(done)});
  for (const auto& shard : shards) {
    shard->post([ask, gathering, &listener](Shard& self) {
      listener.post([answer = ask(self), gathering](AdminListener&) mutable {
        gathering->answers.push_back(std::move(answer));
        if (--gathering->missing == 0) {
          gathering->done(std::move(gathering->answers));
        }
      });
    });
  }
}

// --- Reading requests
// -------------------------------------------------------------------------------------------------------

// nullopt: it is no number from 1 to kListedMax.
std::optional<std::size_t> listed_max(const AdminQuery& query) {
  if (!query.has("limit")) {
    return kListedByDefault;
  }
  const auto number = parse_number<std::uint32_t>(query.text("limit"));
  return number && *number >= 1 && *number <= kListedMax ? std::optional<std::size_t>(*number) : std::nullopt;
}

// What ?code= and ?reason= say; nullopt: neither a code that a server may send nor a reason that fits.
std::optional<Closing> closing_of(const AdminQuery& query) {
  Closing closing{.code = ws::close_code::kGoingAway, .reason = query.text("reason")};
  if (query.has("code")) {
    const auto number = parse_number<std::uint32_t>(query.text("code"));
    const bool allowed = number && (*number == 1000 || *number == 1001 || *number == 1008 ||
                                    (*number >= 1011 && *number <= 1013) || (*number >= 3000 && *number <= 4999));
    if (!allowed) {
      return std::nullopt;
    }
    closing.code = static_cast<std::uint16_t>(*number);
  }
  if (closing.reason.size() > kCloseReasonBytesMax) {
    return std::nullopt;
  }
  return closing;
}

http::Response bad_limit() { return error_response(400, "limit is not allowed; allowed: 1 to 10000."); }
http::Response bad_closing() {
  return error_response(400,
                        "code or reason is not allowed; allowed: code 1000, 1001, 1008, 1011 to 1013, 3000 to 4999, "
                        "and a reason of at most 123 bytes.");
}
http::Response closed_or_missing(bool closed, std::string_view missing) {
  return closed ? json_response(200, json{{"closed", true}}.dump()) : error_response(404, missing);
}

// --- Routes
// -----------------------------------------------------------------------------------------------------------------

// The loops answer, or the call's deadline says that they do not.
void health(AdminTarget& target, AdminListener& listener, const AdminCall& call) {
  if (target.is_stopping()) {
    return call.reply.send(json_response(503, R"({"status":"stopping"})"));
  }
  ask_all(
      target.shards(), listener, [](Shard&) { return true; },
      [reply = call.reply](const std::vector<bool>&) { reply.send(json_response(200, R"({"status":"ok"})")); });
}

void metrics(AdminTarget& target, AdminListener& listener, const AdminCall& call) {
  std::vector<ShardNumbers> shards;
  for (const auto& shard : target.shards()) {
    shards.push_back({.counters = shard->shard_counters(), .stats = shard->stats()});
  }
  ProcessNumbers process = process_numbers();
  process.log_lines_dropped = target.logger().lines_dropped();
  http::Response response{.status = 200,
                          .headers = {},
                          .body = metrics_text(shards, target.service_facts(), process, &listener.counters())};
  response.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  call.reply.send(std::move(response));
}

json to_json(const RoomFacts& room) {
  return {{"service", room.service}, {"id", room.id}, {"clients", room.clients}, {"shard", room.shard}};
}

// The room that the path and ?service= name; a value of its own, to go to another thread.
struct NamedRoom {
  std::string service;
  std::string id;

  explicit NamedRoom(const AdminCall& call) : service(call.query.text("service")), id(call.names[0]) {}
  [[nodiscard]] RoomName name() const { return {.service = service, .id = id}; }
};

void list_rooms(AdminTarget& target, AdminListener& listener, const AdminCall& call) {
  const auto limit = listed_max(call.query);
  if (!limit) {
    return call.reply.send(bad_limit());
  }
  struct Part {
    std::size_t total;
    std::vector<RoomFacts> rooms;
  };
  ask_all(
      target.shards(), listener,
      [limit = *limit, prefix = call.query.text("prefix")](Shard& shard) {
        return Part{.total = shard.room_count(), .rooms = shard.list_rooms(prefix, limit)};
      },
      [reply = call.reply, limit = *limit](const std::vector<Part>& parts) {
        json rooms = json::array();
        std::size_t total = 0;
        for (const Part& part : parts) {
          total += part.total;
          for (std::size_t i = 0; i < part.rooms.size() && rooms.size() < limit; ++i) {
            rooms.push_back(to_json(part.rooms[i]));
          }
        }
        reply.send(json_response(200, json{{"rooms", rooms}, {"rooms_total", total}}.dump()));
      });
}

void describe_room(AdminTarget& target, const AdminCall& call) {
  const auto limit = listed_max(call.query);
  if (!limit) {
    return call.reply.send(bad_limit());
  }
  const NamedRoom room(call);
  target.owner_of(room.name()).post([room, limit = *limit, reply = call.reply](Shard& shard) {
    const auto details = shard.describe_room(room.name(), limit);
    if (!details) {
      return reply.send(error_response(404, kNoRoom));
    }
    json clients = json::array();
    for (const ClientFacts& client : details->clients) {
      clients.push_back({{"id", static_cast<std::uint32_t>(client.id)},
                         {"remote_address", client.link.remote_address},
                         {"queued_bytes", client.link.queued_bytes},
                         {"absent", client.link.is_absent}});
    }
    json body = to_json(details->room);
    body["client_count"] = details->room.clients;
    body["clients"] = std::move(clients);
    reply.send(json_response(200, body.dump()));
  });
}

void close_room(AdminTarget& target, const AdminCall& call) {
  const auto closing = closing_of(call.query);
  if (!closing) {
    return call.reply.send(bad_closing());
  }
  const NamedRoom room(call);
  target.owner_of(room.name()).post([room, closing = *closing, reply = call.reply](Shard& shard) {
    reply.send(closed_or_missing(shard.close_room(room.name(), closing), kNoRoom));
  });
}

void close_client(AdminTarget& target, const AdminCall& call) {
  const auto closing = closing_of(call.query);
  const auto client = parse_number<std::uint32_t>(call.names[1]);
  if (!closing || !client) {
    return call.reply.send(closing ? error_response(400, "A client's id is a whole number.") : bad_closing());
  }
  const NamedRoom room(call);
  target.owner_of(room.name())
      .post([room, client = ClientId{*client}, closing = *closing, reply = call.reply](Shard& shard) {
        reply.send(closed_or_missing(shard.close_client(room.name(), client, closing),
                                     "There is no such client in such a room."));
      });
}

void revoke_tickets(AdminTarget& target, AdminListener& listener, const AdminCall& call) {
  ask_all(
      target.shards(), listener,
      [service = call.query.text("service"), subject = call.names[0]](Shard& shard) {
        return shard.revoke_tickets(service, subject);
      },
      [reply = call.reply](const std::vector<std::size_t>& counts) {
        const auto revoked = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
        reply.send(json_response(200, json{{"revoked", revoked}}.dump()));
      });
}

void list_services(AdminTarget& target, const AdminCall& call) {
  json services = json::array();
  for (const ServiceFacts& facts : target.service_facts()) {
    services.push_back({{"name", facts.name}, {"service", facts.service}, {"rooms", facts.rooms}});
  }
  call.reply.send(json_response(200, json{{"services", services}}.dump()));
}

void change_service(AdminTarget& target, AdminListener& listener, ServiceChange change, const AdminCall& call) {
  const bool taken = target.change_service(
      change, call.names[0], call.request.body,
      [reply = call.reply, change, &listener, peer = call.peer, name = call.names[0]](const Result<void>& done) {
        if (!done) {
          listener.post([peer, name, reason = done.error().message](AdminListener& self) {
            self.log_service_refused(peer, name, reason);
          });
          return reply.send(error_response(status_of(done.error().code), done.error().message));
        }
        const char* what = change == ServiceChange::Remove ? "removed" : "serving";
        reply.send(json_response(200, json{{what, true}}.dump()));
      });
  if (!taken) {
    call.reply.send(error_response(
        503, target.is_stopping() ? "The server is stopping." : "Too many changes of services wait; try again later."));
  }
}

void show_log_level(AdminTarget& target, const AdminCall& call) {
  call.reply.send(json_response(200, json{{"level", to_string(target.logger().threshold())}}.dump()));
}

void set_log_level(AdminTarget& target, const AdminCall& call) {
  const json body = json::parse(call.request.body, nullptr, false);
  const bool has_level = body.is_object() && body.contains("level") && body["level"].is_string();
  const auto level = has_level ? parse_log_threshold(body["level"].get<std::string>())
                               : fail(ErrorCode::InvalidArgument, R"(the body is not {"level": "info"})");
  if (!level) {
    return call.reply.send(error_response(400, level.error().message));
  }
  target.logger().set_threshold(*level);
  show_log_level(target, call);
}

void drain(AdminTarget& target, const AdminCall& call) {
  target.logger().info("admin.drain", {});
  target.ask_to_stop();
  call.reply.send(json_response(202, R"({"status":"stopping"})"));
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::NotFound:
      return 404;
    case ErrorCode::AlreadyExists:
      return 409;
    case ErrorCode::Io:
      return 500;
    default:
      return 400;
  }
}

std::vector<AdminRoute> admin_routes(AdminTarget& target, AdminListener& listener, const RoomFileLimits& room_files) {
  constexpr auto kEverybody = AdminRoute::Access::Everybody;
  constexpr auto kToken = AdminRoute::Access::Token;
  std::vector<AdminRoute> routes{
      {Method::Get, "/health", "*", kEverybody, [&](const AdminCall& call) { health(target, listener, call); }},
      {Method::Get, "/metrics", "*", kToken, [&](const AdminCall& call) { metrics(target, listener, call); }},
      {Method::Get, "/admin/rooms", "prefix limit", kToken,
       [&](const AdminCall& call) { list_rooms(target, listener, call); }},
      {Method::Get, "/admin/rooms/{room}", "service limit", kToken,
       [&](const AdminCall& call) { describe_room(target, call); }},
      {Method::Delete, "/admin/rooms/{room}", "service code reason", kToken,
       [&](const AdminCall& call) { close_room(target, call); }},
      {Method::Delete, "/admin/rooms/{room}/clients/{client}", "service code reason", kToken,
       [&](const AdminCall& call) { close_client(target, call); }},
      {Method::Delete, "/admin/tickets/{subject}", "service", kToken,
       [&](const AdminCall& call) { revoke_tickets(target, listener, call); }},
      {Method::Get, "/admin/services", "", kToken, [&](const AdminCall& call) { list_services(target, call); }},
      {Method::Post, "/admin/services/{service}", "", kToken,
       [&](const AdminCall& call) { change_service(target, listener, ServiceChange::Add, call); }, kLoadingTimeout},
      {Method::Put, "/admin/services/{service}", "", kToken,
       [&](const AdminCall& call) { change_service(target, listener, ServiceChange::Replace, call); }, kLoadingTimeout},
      {Method::Delete, "/admin/services/{service}", "", kToken,
       [&](const AdminCall& call) { change_service(target, listener, ServiceChange::Remove, call); }, kLoadingTimeout},
      {Method::Get, "/admin/log-level", "", kToken, [&](const AdminCall& call) { show_log_level(target, call); }},
      {Method::Put, "/admin/log-level", "", kToken, [&](const AdminCall& call) { set_log_level(target, call); }},
      {Method::Post, "/admin/drain", "", kToken, [&](const AdminCall& call) { drain(target, call); }},
  };
  add_kept_routes(target, listener, room_files, routes);
  return routes;
}

}  // namespace jamsocket::server
