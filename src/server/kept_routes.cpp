// Whoever is asked reads on the store's thread, behind what rooms wrote before. To change a stored room, its name is
// taken out of its shard first (Shard::take_out): nobody may be in it, or come, while what is stored of it changes.

#include "server/kept_routes.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "base/number.hpp"
#include "http/target.hpp"
#include "room/rebuild.hpp"
#include "server/kept_rooms.hpp"
#include "server/router.hpp"
#include "store/room_file.hpp"
#include "store/sqlite_store.hpp"
#include "ws/close_code.hpp"

namespace jamsocket::server {
namespace {

using http::Method;

constexpr std::chrono::minutes kChangeTimeout{1};
constexpr std::size_t kListedByDefault = 1'000;
constexpr std::size_t kListedMax = 10'000;
constexpr std::string_view kNothingIsKept = "This server keeps no rooms; --data does.";
constexpr std::string_view kNumberIsWrong = "to and limit are whole numbers; allowed: limit 1 to 10000, history all.";

http::Response refusal(const Error& error) {
  // What is stored is damaged: no request is to blame.
  return error_response(error.code == ErrorCode::Malformed ? 500 : status_of(error.code), error.message);
}

http::Response kept_answer(const Result<KeptJson>& json) {
  return json ? json_response(200, json->dump(-1, ' ', false, KeptJson::error_handler_t::replace))
              : refusal(json.error());
}

/// What was asked; a value of its own, to go to other threads.
struct Asked {
  std::string service;  ///< Its own name; empty: whichever has the room.
  std::string id;
  std::optional<std::uint64_t> to;
  std::size_t limit = kListedByDefault;
  std::optional<store::RoomName> after;
  store::Extent extent = store::Extent::Needed;
};

// nullopt: a number is none, or the history something else than all of it.
std::optional<Asked> asked_by(const AdminCall& call) {
  const AdminQuery& query = call.query;
  Asked asked{.service = query.text("service"),
              .id = call.names.empty() ? std::string() : call.names.front(),
              .to = {},
              .after = {}};
  if (query.has("to")) {
    asked.to = parse_number<std::uint64_t>(query.text("to"));
    if (!asked.to) {
      return std::nullopt;
    }
  }
  if (query.has("limit")) {
    const auto number = parse_number<std::uint64_t>(query.text("limit"));
    if (!number || *number < 1 || *number > kListedMax) {
      return std::nullopt;
    }
    asked.limit = static_cast<std::size_t>(*number);
  }
  if (const std::string after = query.text("after_room"); !after.empty()) {
    asked.after = store::RoomName{.service = query.text("after_service"), .id = after};
  }
  if (query.has("history")) {
    if (query.text("history") != "all") {
      return std::nullopt;
    }
    asked.extent = store::Extent::Whole;
  }
  return asked;
}

http::Response too_large_to_export(std::size_t bytes_max) {
  return error_response(507,
                        fmt::format("The room's file would have more than {} bytes (admin.export_bytes_max). Ask for "
                                    "less with to=EVENT or without its history, raise the limit, or stop the server "
                                    "and use its folder.",
                                    bytes_max));
}

http::Response file_of(const store::StoredRoom& room, std::size_t bytes_max) {
  http::Response response{.status = 200, .headers = {}, .body = store::to_room_file(room)};
  if (response.body.size() > bytes_max) {
    return too_large_to_export(bytes_max);
  }
  response.add("Content-Type", "application/octet-stream");
  response.add("Cache-Control", "no-store");
  return response;
}

class KeptRoutes {
 public:
  KeptRoutes(AdminTarget& target, AdminListener& listener) : target_(target), listener_(listener) {}

  using Answer = std::function<http::Response(store::Database&, const Asked&)>;
  /// Answers with what `answer` finds, on the store's thread.
  void read(const AdminCall& call, Answer answer) const {
    const auto asked = asked_by(call);
    if (!asked) {
      return call.reply.send(error_response(400, kNumberIsWrong));
    }
    on_store(call.reply, [asked = *asked, reply = call.reply, answer = std::move(answer)](store::Database& data) {
      reply.send(answer(data, asked));
    });
  }

  /// Answers with the room as a file. Compressing it takes longest by far, and all kept rooms wait for the store's
  /// thread: that is done on another.
  void give_out(const AdminCall& call, std::size_t bytes_max) const {
    const auto asked = asked_by(call);
    if (!asked) {
      return call.reply.send(error_response(400, kNumberIsWrong));
    }
    on_store(call.reply, [this, asked = *asked, reply = call.reply, bytes_max](store::Database& data) {
      const auto name = find_kept(data, asked.service, asked.id);
      auto room = name ? read_kept(data, *name, asked.to, asked.extent, bytes_max) : std::unexpected(name.error());
      if (!room) {
        const bool is_large = room.error().code == ErrorCode::TooLarge;
        return reply.send(is_large ? too_large_to_export(bytes_max) : refusal(room.error()));
      }
      const bool taken =
          target_.run_beside([room = *std::move(room), reply, bytes_max] { reply.send(file_of(room, bytes_max)); });
      if (!taken) {
        reply.send(
            error_response(503, "Too many files of rooms are being made, or the server is stopping; try again later."));
      }
    });
  }

  /// Makes `plan` of what is stored under the name to be changed, with nobody there, and carries it out.
  struct Change {
    std::function<Result<KeptChange>(store::Database&, const store::RoomName& source, store::RoomKey key)> plan;
    Closing closing{};  ///< For those who are in the room; without a code the room must not be in use.
    bool needs_space = true;
    std::string copy_id{};  ///< What is made is a copy under this id; empty: the room itself is changed.
    std::string note{};     ///< Behind the sentence that says what was done.
  };
  void change(const AdminCall& call, Asked asked, Change change) const {
    if (refuse_where_full(call, change)) {
      return;
    }
    on_store(call.reply, [this, asked = std::move(asked), change = std::move(change),
                          reply = call.reply](store::Database& data) mutable {
      auto source = find_kept(data, asked.service, asked.id);
      if (!source) {
        return reply.send(refusal(source.error()));
      }
      store::RoomName changed = *source;
      if (!change.copy_id.empty()) {
        changed.id = change.copy_id;
      }
      // Which services there are is asked on the listener's thread: the store's takes no lock of others.
      listener_.post([this, source = *std::move(source), changed = std::move(changed), change = std::move(change),
                      reply](AdminListener&) mutable {
        take_and_change(std::move(source), std::move(changed), std::move(change), reply);
      });
    });
  }

  /// A room that is not there yet.
  void add(const AdminCall& call, store::StoredRoom room) const {
    if (target_.kept_rooms() == nullptr) {
      return call.reply.send(error_response(400, kNothingIsKept));
    }
    auto rebuild = room::Rebuild::from(room);
    if (!rebuild) {
      return call.reply.send(refusal(rebuild.error()));
    }
    const store::RoomName name = room.name;
    const CodeIs code =
        target_.runs_version(name.service, (*rebuild)->version) ? CodeIs::Served : CodeIs::KeptOrMissing;
    Change change{.plan = [shared = std::make_shared<const store::StoredRoom>(std::move(room)), code](
                              store::Database& data, const store::RoomName&,
                              store::RoomKey key) { return plan_import(data, *shared, key, code); },
                  .closing = {.code = 0, .reason = {}}};
    if (!target_.path_of(name.service)) {
      change.note = "; no service of that name keeps rooms here";
    }
    if (!refuse_where_full(call, change)) {
      take_and_change(name, name, std::move(change), call.reply);
    }
  }

 private:
  bool refuse_where_full(const AdminCall& call, const Change& change) const {
    const store::SqliteStore* const kept = target_.kept_rooms();
    const bool is_refused = kept != nullptr && change.needs_space && kept->is_full();
    if (is_refused) {
      call.reply.send(error_response(503, kDiskFull));
    }
    return is_refused;
  }

  void take_and_change(store::RoomName source, store::RoomName changed, Change change, const AdminReply& reply) const {
    const auto path = target_.path_of(changed.service);
    if (!path) {
      return commit(std::move(source), std::move(change), reply, [](bool) {});
    }
    Shard& owner = target_.owner_of({.service = *path, .id = changed.id});
    owner.post([this, path = *path, source = std::move(source), id = std::move(changed.id), change = std::move(change),
                reply](Shard& shard) mutable {
      const Closing closing = change.closing;
      const auto let_back = [path, id, &shard](bool wakes) {
        shard.post([path, id, wakes](Shard& self) { self.let_back({.service = path, .id = id}, wakes); });
      };
      const bool taken =
          shard.take_out({.service = path, .id = id}, closing,
                         [this, source = std::move(source), change = std::move(change), reply, let_back]() mutable {
                           commit(std::move(source), std::move(change), reply, let_back);
                         });
      if (!taken) {
        reply.send(error_response(409, closing.code == 0 ? "There is such a room already, or it is being changed."
                                                         : "The room is being changed already."));
      }
    });
  }

  void on_store(const AdminReply& reply, std::move_only_function<void(store::Database&)> work) const {
    store::SqliteStore* const kept = target_.kept_rooms();
    if (kept == nullptr) {
      return reply.send(error_response(400, kNothingIsKept));
    }
    if (!kept->try_run(std::move(work))) {
      reply.send(error_response(503, "The server is stopping."));
    }
  }

  /// `after`: told whether the room must be woken for its timer.
  void commit(store::RoomName source, Change change, const AdminReply& reply,
              std::move_only_function<void(bool)> after) const {
    const store::RoomKey key = target_.kept_rooms()->new_key();
    on_store(reply, [this, source = std::move(source), change = std::move(change), key, reply,
                     after = std::move(after)](store::Database& data) mutable {
      const auto plan = change.plan(data, source, key);
      if (!plan) {
        after(true);
        return reply.send(refusal(plan.error()));
      }
      if (const auto done = plan->commit(data); !done) {
        target_.keeping_failed(done.error());
      }
      const std::string done = plan->done + change.note;
      target_.logger().info("admin.room_changed", {{"service", source.service}, {"what", done}});
      after(plan->leaves_timer);
      reply.send(json_response(200, KeptJson{{"done", done}}.dump()));
    });
  }

  AdminTarget& target_;
  AdminListener& listener_;
};

void bring_in(const KeptRoutes& routes, const AdminCall& call, std::size_t import_bytes_max) {
  const auto asked = asked_by(call);
  if (!asked) {
    return call.reply.send(error_response(400, kNumberIsWrong));
  }
  if (const auto id = http::check_room_id(asked->id, kRoomIdBytesMost); !asked->id.empty() && !id) {
    return call.reply.send(error_response(400, id.error().message));
  }
  auto room = open_room_file(call.request.body, asked->service, asked->id, import_bytes_max);
  if (!room) {
    const bool is_large = room.error().code == ErrorCode::TooLarge;
    return call.reply.send(error_response(is_large ? 413 : 400, room.error().message));
  }
  routes.add(call, *std::move(room));
}

void fork(const KeptRoutes& routes, const AdminCall& call) {
  auto asked = asked_by(call);
  const std::string new_id = call.query.text("as");
  if (!asked) {
    return call.reply.send(error_response(400, kNumberIsWrong));
  }
  if (const auto id = http::check_room_id(new_id, kRoomIdBytesMost); !id) {
    return call.reply.send(error_response(400, id.error().message + " The copy's is as=NEW."));
  }
  KeptRoutes::Change change;
  change.plan = [to = asked->to, new_id](store::Database& data, const store::RoomName& source, store::RoomKey key) {
    return plan_fork(data, source, to, new_id, key);
  };
  change.closing.code = 0;
  change.copy_id = new_id;
  routes.change(call, *std::move(asked), std::move(change));
}

void rewind(const KeptRoutes& routes, const AdminCall& call) {
  auto asked = asked_by(call);
  if (!asked || !asked->to) {
    return call.reply.send(error_response(400, "to=EVENT is missing, or no number."));
  }
  const std::uint64_t to = *asked->to;
  routes.change(
      call, *std::move(asked),
      {.plan = [to](store::Database& data, const store::RoomName& source,
                    store::RoomKey key) { return plan_rewind(data, source, to, key); },
       .closing = {.code = ws::close_code::kRestart, .reason = "the room was taken back to an earlier state"}});
}

void accept(const KeptRoutes& routes, const AdminCall& call) {
  auto asked = asked_by(call);
  if (!asked) {
    return call.reply.send(error_response(400, kNumberIsWrong));
  }
  routes.change(call, *std::move(asked),
                {.plan = [](store::Database& data, const store::RoomName& source,
                            store::RoomKey key) { return plan_accept(data, source, key); },
                 .closing = {.code = ws::close_code::kRestart, .reason = "the room goes on from an earlier state"}});
}

void forget(const KeptRoutes& routes, const AdminCall& call) {
  auto asked = asked_by(call);
  if (!asked) {
    return call.reply.send(error_response(400, kNumberIsWrong));
  }
  routes.change(call, *std::move(asked),
                {.plan = [](store::Database& data, const store::RoomName& source,
                            store::RoomKey) { return plan_delete(data, source); },
                 .closing = {.code = ws::close_code::kGoingAway, .reason = "the room was deleted"},
                 .needs_space = false});
}

}  // namespace

void add_kept_routes(AdminTarget& target, AdminListener& listener, const RoomFileLimits& limits,
                     std::vector<AdminRoute>& routes) {
  constexpr auto kToken = AdminRoute::Access::Token;
  const auto kept = std::make_shared<const KeptRoutes>(target, listener);
  const auto add = [&](Method method, std::string_view path, std::string_view query,
                       std::function<void(AdminCall)> handle, std::size_t body_bytes_max = 0) {
    routes.push_back({method, path, query, kToken, std::move(handle), kChangeTimeout, body_bytes_max});
  };
  add(Method::Get, "/admin/kept-rooms", "service limit after_service after_room", [kept](const AdminCall& call) {
    kept->read(call, [](store::Database& data, const Asked& asked) {
      return kept_answer(list_kept(data, asked.service, asked.after, asked.limit));
    });
  });
  add(Method::Get, "/admin/kept-rooms/{room}", "service", [kept](const AdminCall& call) {
    kept->read(call, [](store::Database& data, const Asked& asked) {
      const auto name = find_kept(data, asked.service, asked.id);
      return kept_answer(name ? describe_kept(data, *name) : std::unexpected(name.error()));
    });
  });
  add(Method::Get, "/admin/kept-rooms/{room}/file", "service to history",
      [kept, export_bytes_max = limits.export_bytes_max](const AdminCall& call) {
        kept->give_out(call, export_bytes_max);
      });
  add(
      Method::Put, "/admin/kept-rooms/{room}/file", "service",
      [kept, import_bytes_max = limits.import_bytes_max](const AdminCall& call) {
        bring_in(*kept, call, import_bytes_max);
      },
      limits.import_bytes_max);
  add(Method::Post, "/admin/kept-rooms/{room}/fork", "service to as",
      [kept](const AdminCall& call) { fork(*kept, call); });
  add(Method::Post, "/admin/kept-rooms/{room}/rewind", "service to",
      [kept](const AdminCall& call) { rewind(*kept, call); });
  add(Method::Post, "/admin/kept-rooms/{room}/accept", "service",
      [kept](const AdminCall& call) { accept(*kept, call); });
  add(Method::Delete, "/admin/kept-rooms/{room}", "service", [kept](const AdminCall& call) { forget(*kept, call); });
}

}  // namespace jamsocket::server
