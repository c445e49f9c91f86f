#include "server/room_table.hpp"

#include <functional>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::server {

std::size_t RoomIdHash::operator()(std::string_view id) const {
  std::string keyed(reinterpret_cast<const char*>(&secret_), sizeof secret_);
  keyed += id;
  return std::hash<std::string_view>{}(keyed);
}

RoomTable::RoomTable(const RoomIdHash& hash, std::atomic<std::uint32_t>& room_count, std::uint32_t rooms_max)
    : rooms_(0, hash), room_count_(room_count), rooms_max_(rooms_max) {}

room::Room* RoomTable::find(std::string_view id) {
  const auto found = rooms_.find(id);
  return found == rooms_.end() ? nullptr : found->second.get();
}

room::Room* RoomTable::make(const std::string& id, service::Service& service, const room::RoomSettings& settings,
                            room::RoomHost& host) {
  if (room_count_.fetch_add(1) >= rooms_max_) {
    room_count_.fetch_sub(1);
    return nullptr;
  }
  auto room = std::make_unique<room::Room>(id, service, settings, host);
  room::Room* made = room.get();
  const bool inserted = rooms_.emplace(made->id(), std::move(room)).second;
  JAM_CHECK(inserted);
  return made;
}

void RoomTable::retire(room::Room& room) {
  const auto found = rooms_.find(room.id());
  JAM_CHECK(found != rooms_.end() && found->second.get() == &room);
  retired_.push_back(std::move(found->second));
  rooms_.erase(found);
  room_count_.fetch_sub(1);
}

void RoomTable::destroy_retired() { retired_.clear(); }

}  // namespace jamsocket::server
