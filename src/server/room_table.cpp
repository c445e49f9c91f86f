#include "server/room_table.hpp"

#include <functional>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::server {

std::size_t RoomNameHash::operator()(const RoomName& name) const {
  std::string keyed(reinterpret_cast<const char*>(&secret_), sizeof secret_);
  keyed += name.service;
  keyed += '/';  // No service has one in its name.
  keyed += name.id;
  return std::hash<std::string_view>{}(keyed);
}

RoomTable::RoomTable(const RoomNameHash& hash, std::atomic<std::uint32_t>& room_count, std::uint32_t rooms_max)
    : rooms_(0, hash), room_count_(room_count), rooms_max_(rooms_max) {}

room::Room* RoomTable::find(const RoomName& name) {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.room.get();
}

room::Room* RoomTable::make(const HostedServicePtr& service, const std::string& id, room::RoomHost& host) {
  if (room_count_.fetch_add(1) >= rooms_max_) {
    room_count_.fetch_sub(1);
    return nullptr;
  }
  if (service->room_count->fetch_add(1) >= service->settings.rooms_max) {
    service->room_count->fetch_sub(1);
    room_count_.fetch_sub(1);
    return nullptr;
  }
  auto room = std::make_unique<room::Room>(id, *service->service, service->settings.room, host);
  room::Room* made = room.get();
  made->service_path = service->path_name;
  made->service_cpu_ns = &service->cpu_ns;
  const RoomName name{.service = service->path_name, .id = made->id()};
  const bool inserted = rooms_.emplace(name, Entry{service, std::move(room)}).second;
  JAM_CHECK(inserted);
  return made;
}

void RoomTable::retire(room::Room& room) {
  const auto found = rooms_.find({.service = room.service_path, .id = room.id()});
  JAM_CHECK(found != rooms_.end() && found->second.room.get() == &room);
  found->second.service->room_count->fetch_sub(1);
  retired_.push_back(std::move(found->second));
  rooms_.erase(found);
  room_count_.fetch_sub(1);
}

bool RoomTable::is_of(const RoomName& name, const HostedService& service) const {
  return rooms_.at(name).service->room_count == service.room_count;
}

std::vector<room::Room*> RoomTable::rooms_of(const HostedService& service) {
  std::vector<room::Room*> found;
  for (const auto& [name, entry] : rooms_) {
    if (entry.service->room_count == service.room_count) {
      found.push_back(entry.room.get());
    }
  }
  return found;
}

void RoomTable::destroy_retired() { retired_.clear(); }

}  // namespace jamsocket::server
