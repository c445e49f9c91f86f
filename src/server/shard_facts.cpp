// What a shard tells operators of its rooms, and how they close them.

#include "server/shard.hpp"

namespace jamsocket::server {

std::vector<RoomFacts> Shard::list_rooms(std::string_view prefix, std::size_t rooms_max) const {
  std::vector<RoomFacts> found;
  const auto note = [&](const RoomName& name, std::size_t clients) {
    if (found.size() == rooms_max) {
      return false;
    }
    if (name.id.starts_with(prefix)) {
      found.push_back(
          {.service = std::string(name.service), .id = std::string(name.id), .clients = clients, .shard = number_});
    }
    return true;
  };
  rooms_.visit([&](const RoomName& name, const room::Room& room) { return note(name, room.client_count()); });
  rooms_.visit_asleep(
      [&](const RoomName& name, const room::RoomAsleep& room) { return note(name, room.members.size()); });
  return found;
}

std::optional<RoomDetails> Shard::describe_room(const RoomName& name, std::size_t clients_max) {
  RoomDetails details{
      .room = {.service = std::string(name.service), .id = std::string(name.id), .clients = 0, .shard = number_},
      .clients = {}};
  const auto note = [&](ClientId client, room::LinkFacts link) {
    if (details.clients.size() == clients_max) {
      return false;
    }
    details.clients.push_back({.id = client, .link = std::move(link)});
    return true;
  };
  if (const room::Room* room = rooms_.find(name)) {
    details.room.clients = room->client_count();
    room->visit_clients(note);
    return details;
  }
  const room::RoomAsleep* asleep = rooms_.find_asleep(name);
  if (asleep == nullptr) {
    return std::nullopt;
  }
  details.room.clients = asleep->members.size();
  for (const room::RoomAsleep::Member& member : asleep->members) {
    if (!note(member.client, member.link->facts())) {
      break;
    }
  }
  return details;
}

bool Shard::close_room(const RoomName& name, const Closing& closing) {
  room::Room* room = find_room(name);
  if (room != nullptr) {
    room->close(closing.code, closing.reason);
  }
  return room != nullptr;
}

bool Shard::take_out(const RoomName& name, const Closing& closing, std::move_only_function<void()> gone) {
  room::Room* const room = find_room(name);
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
  room::Room* room = find_room(name);
  return room != nullptr && room->close_client(client, closing.code, closing.reason);
}

}  // namespace jamsocket::server
