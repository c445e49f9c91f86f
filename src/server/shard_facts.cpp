// What a shard tells operators of its rooms, and how they close them.

#include "server/shard.hpp"

namespace jamsocket::server {

std::vector<RoomFacts> Shard::list_rooms(std::string_view prefix, std::size_t rooms_max) const {
  std::vector<RoomFacts> found;
  rooms_.visit([&](const RoomName& name, const room::Room& room) {
    if (found.size() == rooms_max) {
      return false;
    }
    if (room.id().starts_with(prefix)) {
      found.push_back(
          {.service = std::string(name.service), .id = room.id(), .clients = room.client_count(), .shard = number_});
    }
    return true;
  });
  return found;
}

std::optional<RoomDetails> Shard::describe_room(const RoomName& name, std::size_t clients_max) {
  const room::Room* room = rooms_.find(name);
  if (room == nullptr) {
    return std::nullopt;
  }
  RoomDetails details{.room = {.service = std::string(name.service),
                               .id = room->id(),
                               .clients = room->client_count(),
                               .shard = number_},
                      .clients = {}};
  room->visit_clients([&](ClientId client, room::LinkFacts link) {
    if (details.clients.size() == clients_max) {
      return false;
    }
    details.clients.push_back({.id = client, .link = std::move(link)});
    return true;
  });
  return details;
}

bool Shard::close_room(const RoomName& name, const Closing& closing) {
  room::Room* room = rooms_.find(name);
  if (room != nullptr) {
    room->close(closing.code, closing.reason);
  }
  return room != nullptr;
}

bool Shard::take_out(const RoomName& name, const Closing& closing, std::move_only_function<void()> gone) {
  room::Room* const room = rooms_.find(name);
  const auto key = std::pair(std::string(name.service), std::string(name.id));
  if ((room != nullptr && closing.code == 0) || taken_out_.contains(key)) {
    return false;
  }
  if (room == nullptr) {
    taken_out_.emplace(key, nullptr);
    journal_->flush();  // A room that has just ended may have written.
    gone();
    return true;
  }
  taken_out_.emplace(key, std::move(gone));
  room->let_go(closing.code, closing.reason);
  return true;
}

void Shard::let_back(const RoomName& name, bool wakes) {
  taken_out_.erase({std::string(name.service), std::string(name.id)});
  const HostedServicePtr service = shared_.services.current().find(name.service);
  if (wakes && service != nullptr && phase_ == Phase::Running) {
    make(name, service, room::WhenMissing::Refuse);  // It sees to its timer.
  }
}

bool Shard::close_client(const RoomName& name, ClientId client, const Closing& closing) {
  room::Room* room = rooms_.find(name);
  return room != nullptr && room->close_client(client, closing.code, closing.reason);
}

}  // namespace jamsocket::server
