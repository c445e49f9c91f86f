#include "cli/kept_rooms.hpp"

#include <fmt/format.h>

#include <utility>

#include "cli/admin_client.hpp"
#include "cli/data_folder.hpp"
#include "store/room_file.hpp"

namespace jamsocket::cli {
namespace {

constexpr std::size_t kPage = 1000;
constexpr std::chrono::milliseconds kWaitForOthers{2'000};

class RoomsOfDirectory final : public KeptRooms {
 public:
  explicit RoomsOfDirectory(std::unique_ptr<store::Database> data) : data_(std::move(data)) {}

  Result<KeptJson> list(const std::string& service, const std::optional<store::RoomName>& after) override {
    return server::list_kept(*data_, service, after, kPage);
  }
  Result<KeptJson> describe(const RoomWanted& room) override {
    return server::describe_kept(*data_, JAM_TRY(find(room)));
  }
  Result<store::StoredRoom> read(const RoomWanted& room, store::Extent extent) override {
    return server::read_kept(*data_, JAM_TRY(find(room)), room.to, extent);
  }
  Result<std::string> bring_in(const store::StoredRoom& room) override {
    return carry_out(server::plan_import(*data_, room, next_key(), server::CodeIs::KeptOrMissing));
  }
  Result<std::string> accept(const RoomWanted& room) override {
    return carry_out(server::plan_accept(*data_, JAM_TRY(find(room)), next_key()));
  }
  Result<std::string> forget(const RoomWanted& room) override {
    return carry_out(server::plan_delete(*data_, JAM_TRY(find(room))));
  }
  Result<std::string> fork(const RoomWanted& room, const std::string& new_id) override {
    return carry_out(server::plan_fork(*data_, JAM_TRY(find(room)), room.to, new_id, next_key()));
  }
  Result<std::string> rewind(const RoomWanted& room) override {
    return carry_out(server::plan_rewind(*data_, JAM_TRY(find(room)), room.to.value_or(0), next_key()));
  }

 private:
  [[nodiscard]] store::RoomKey next_key() const { return store::RoomKey{data_->next_key()}; }
  Result<store::RoomName> find(const RoomWanted& room) { return server::find_kept(*data_, room.service, room.id); }
  Result<std::string> carry_out(Result<server::KeptChange> change) {
    if (!change) {
      return std::unexpected(std::move(change).error());
    }
    JAM_TRY_VOID(change->commit(*data_));
    return std::move(change->done);
  }

  std::unique_ptr<store::Database> data_;
};

std::string path_of(const RoomWanted& room, std::string_view rest) {
  std::string path = fmt::format("/admin/kept-rooms/{}{}?service={}", encode(room.id), rest, encode(room.service));
  if (room.to) {
    path += fmt::format("&to={}", *room.to);
  }
  return path;
}

class RoomsOfServer final : public KeptRooms {
 public:
  explicit RoomsOfServer(AdminClient client) : client_(std::move(client)) {}

  Result<KeptJson> list(const std::string& service, const std::optional<store::RoomName>& after) override {
    std::string path = fmt::format("/admin/kept-rooms?limit={}&service={}", kPage, encode(service));
    if (after) {
      path += fmt::format("&after_service={}&after_room={}", encode(after->service), encode(after->id));
    }
    return json("GET", path);
  }
  Result<KeptJson> describe(const RoomWanted& room) override { return json("GET", path_of(room, "")); }
  Result<store::StoredRoom> read(const RoomWanted& room, store::Extent extent) override {
    const std::string path = path_of(room, "/file") + (extent == store::Extent::Whole ? "&history=all" : "");
    const std::string bytes = JAM_TRY(client_.ask("GET", path));
    return store::from_room_file(bytes);
  }
  Result<std::string> bring_in(const store::StoredRoom& room) override {
    return done("PUT", path_of({.service = room.name.service, .id = room.name.id, .to = {}}, "/file"),
                store::to_room_file(room));
  }
  Result<std::string> accept(const RoomWanted& room) override { return done("POST", path_of(room, "/accept")); }
  Result<std::string> forget(const RoomWanted& room) override { return done("DELETE", path_of(room, "")); }
  Result<std::string> fork(const RoomWanted& room, const std::string& new_id) override {
    return done("POST", path_of(room, "/fork") + "&as=" + encode(new_id));
  }
  Result<std::string> rewind(const RoomWanted& room) override { return done("POST", path_of(room, "/rewind")); }

 private:
  Result<KeptJson> json(std::string_view method, std::string_view target, std::string_view body = {}) {
    const std::string answer = JAM_TRY(client_.ask(method, target, body));
    KeptJson parsed = KeptJson::parse(answer, nullptr, false);
    if (!parsed.is_object()) {
      return fail(ErrorCode::Malformed, "the server's answer is not JSON");
    }
    return parsed;
  }
  Result<std::string> done(std::string_view method, std::string_view target, std::string_view body = {}) {
    return JAM_TRY(json(method, target, body)).value("done", std::string());
  }

  AdminClient client_;
};

}  // namespace

Result<std::unique_ptr<KeptRooms>> open_kept_rooms(const std::string& directory, IfMissing if_missing) {
  Error in_use;
  // Whoever has it says not how to be asked: another command, which is done soon, or a server that starts or stops.
  for (const std::chrono::milliseconds wait : {std::chrono::milliseconds{0}, kWaitForOthers}) {
    auto data = open_data(directory, if_missing, wait);
    if (data) {
      return std::make_unique<RoomsOfDirectory>(std::move(*data));
    }
    if (data.error().code != ErrorCode::LimitReached) {
      return std::unexpected(std::move(data).error());
    }
    auto client = AdminClient::of_directory(directory);
    if (client) {
      return std::make_unique<RoomsOfServer>(std::move(*client));
    }
    in_use = Error{ErrorCode::LimitReached,
                   fmt::format("{}; a server can be asked if it has an admin listener (--admin-port 0), and while it "
                               "neither starts nor stops, but {}",
                               data.error().message, client.error().message)};
  }
  return std::unexpected(std::move(in_use));
}

}  // namespace jamsocket::cli
