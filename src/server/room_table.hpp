// server/room_table.hpp
//
// The rooms of one shard by service and id, and the count of all rooms of the server.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "room/room.hpp"
#include "server/services.hpp"

namespace jamsocket::server {

/// What a room is called: rooms of two services may share an id.
struct RoomName {
  std::string_view service;  ///< HostedService::path_name.
  std::string_view id;
  friend bool operator==(const RoomName&, const RoomName&) = default;
};

/// Hashes rooms' names with a secret of this process: nobody outside can choose ids that collide.
class RoomNameHash {
 public:
  explicit RoomNameHash(std::uint64_t secret) : secret_(secret) {}
  [[nodiscard]] std::size_t operator()(const RoomName& name) const;

 private:
  std::uint64_t secret_;
};

class RoomTable {
 public:
  /// `room_count` is shared by all shards.
  /// `memory` is for rooms that sleep.
  RoomTable(const RoomNameHash& hash, std::atomic<std::uint32_t>& room_count, std::uint32_t rooms_max,
            std::pmr::memory_resource& memory);

  /// Null: there is none that is awake.
  [[nodiscard]] room::Room* find(const RoomName& name);
  /// Null: there is none that sleeps.
  [[nodiscard]] room::RoomAsleep* find_asleep(const RoomName& name);
  /// @return null at the limit of rooms, of the server or of the service.
  room::Room* make(const HostedServicePtr& service, const std::string& id, room::RoomHost& host);
  /// The room retires, and its members are kept.
  void put_to_sleep(room::Room& room);
  /// A new room of the same name and service takes the place of one that sleeps, which is gone.
  room::Room& wake(const room::RoomAsleep& asleep, room::RoomHost& host);
  /// The member is gone; the room with the last one.
  void forget_asleep(room::RoomAsleep& asleep, ClientId client);
  /// Takes the room off the table; it lives on until `destroy_retired`.
  void retire(room::Room& room);
  void destroy_retired();
  /// Visits rooms in no particular order, until `visit` returns false.
  template <class Visit>
  void visit(Visit visit) const {
    for (const auto& [name, entry] : rooms_) {
      if (!visit(name, *entry.room)) {
        return;
      }
    }
  }
  /// The same, for those that sleep.
  template <class Visit>
  void visit_asleep(Visit visit) const {
    for (const auto& [name, entry] : asleep_) {
      if (!visit(name, entry.room)) {
        return;
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return rooms_.size() + asleep_.size(); }
  /// The rooms of the service and of those that it replaced or was replaced by.
  [[nodiscard]] std::vector<room::Room*> rooms_of(const HostedService& service);
  [[nodiscard]] std::vector<room::RoomAsleep*> asleep_of(const HostedService& service);
  /// Whether the room of that name, which there is, is one of them.
  [[nodiscard]] bool is_of(const RoomName& name, const HostedService& service) const;

 private:
  struct Entry {
    HostedServicePtr service;  // Outlives the room.
    std::unique_ptr<room::Room> room;
  };

  struct EntryAsleep {
    HostedServicePtr service;
    room::RoomAsleep room;
  };

  using Asleep = std::pmr::unordered_map<RoomName, EntryAsleep, RoomNameHash>;

  void uncount(const HostedService& service);
  /// Until `destroy_retired` it lives on, in the entry that is returned.
  Entry& take_off(room::Room& room);
  [[nodiscard]] Asleep::iterator place_of(const room::RoomAsleep& asleep);
  room::Room& add(const HostedServicePtr& service, const std::string& id, room::RoomHost& host);

  // The key's parts are the service's own name and the room's own id: stable for as long as the entry.
  std::unordered_map<RoomName, Entry, RoomNameHash> rooms_;
  Asleep asleep_;
  std::vector<Entry> retired_;
  std::atomic<std::uint32_t>& room_count_;
  std::uint32_t rooms_max_;
};

}  // namespace jamsocket::server
