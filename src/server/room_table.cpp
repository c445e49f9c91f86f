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

RoomTable::RoomTable(const RoomNameHash& hash, std::atomic<std::uint32_t>& room_count, std::uint32_t rooms_max,
                     std::pmr::memory_resource& memory)
    : rooms_(0, hash), asleep_(0, hash, &memory), room_count_(room_count), rooms_max_(rooms_max) {}

room::Room* RoomTable::find(const RoomName& name) {
  const auto found = rooms_.find(name);
  return found == rooms_.end() ? nullptr : found->second.room.get();
}

room::RoomAsleep* RoomTable::find_asleep(const RoomName& name) {
  const auto found = asleep_.find(name);
  return found == asleep_.end() ? nullptr : &found->second.room;
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
  host.counters().add(Counter::RoomsMade);
  return &add(service, id, host);
}

room::Room& RoomTable::add(const HostedServicePtr& service, const std::string& id, room::RoomHost& host) {
  auto room = std::make_unique<room::Room>(id, *service->service, service->settings.room, host);
  room::Room& made = *room;
  made.service_path = service->path_name;
  made.service_cpu_ns = service->cpu_ns.get();
  const RoomName name{.service = service->path_name, .id = made.id()};
  const bool inserted = rooms_.emplace(name, Entry{service, std::move(room)}).second;
  JAM_CHECK(inserted);
  return made;
}

RoomTable::Entry& RoomTable::take_off(room::Room& room) {
  const auto found = rooms_.find({.service = room.service_path, .id = room.id()});
  JAM_CHECK(found != rooms_.end() && found->second.room.get() == &room);
  Entry& entry = retired_.emplace_back(std::move(found->second));
  rooms_.erase(found);
  return entry;
}

void RoomTable::put_to_sleep(room::Room& room) {
  const HostedServicePtr& service = take_off(room).service;
  std::pmr::memory_resource& memory = *asleep_.get_allocator().resource();
  const auto [place, inserted] =
      asleep_.try_emplace(RoomName{.service = room.service_path, .id = room.id()},
                          EntryAsleep{service, room::RoomAsleep(room.service_path, room.id(), memory)});
  JAM_CHECK(inserted);
  // The key was the room's, which goes.
  auto node = asleep_.extract(place);
  node.key().id = node.mapped().room.id;
  const auto again = asleep_.insert(std::move(node));
  room.move_to(again.position->second.room);
}

RoomTable::Asleep::iterator RoomTable::place_of(const room::RoomAsleep& asleep) {
  const auto found = asleep_.find({.service = asleep.service_path, .id = asleep.id});
  JAM_CHECK(found != asleep_.end() && &found->second.room == &asleep);
  return found;
}

room::Room& RoomTable::wake(const room::RoomAsleep& asleep, room::RoomHost& host) {
  // The key refers into the entry: both go together.
  const auto node = asleep_.extract(place_of(asleep));
  const EntryAsleep& entry = node.mapped();
  room::Room& room = add(entry.service, std::string(entry.room.id), host);
  room.wake_from(entry.room);
  return room;
}

void RoomTable::retire(room::Room& room) { uncount(*take_off(room).service); }

void RoomTable::uncount(const HostedService& service) {
  service.room_count->fetch_sub(1);
  room_count_.fetch_sub(1);
}

void RoomTable::forget_asleep(room::RoomAsleep& asleep, ClientId client) {
  std::erase_if(asleep.members, [client](const room::RoomAsleep::Member& member) { return member.client == client; });
  if (asleep.members.empty()) {
    const auto found = place_of(asleep);
    uncount(*found->second.service);
    asleep_.erase(found);
  }
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

std::vector<room::RoomAsleep*> RoomTable::asleep_of(const HostedService& service) {
  std::vector<room::RoomAsleep*> found;
  for (auto& [name, entry] : asleep_) {
    if (entry.service->room_count == service.room_count) {
      found.push_back(&entry.room);
    }
  }
  return found;
}

void RoomTable::destroy_retired() { retired_.clear(); }

}  // namespace jamsocket::server
