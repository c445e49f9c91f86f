// server/room_table.hpp
//
// The rooms of one shard by id, and the count of all rooms of the server.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "room/room.hpp"

namespace jamsocket::server {

/// Hashes room ids with a secret of this process: nobody outside can choose ids that collide.
class RoomIdHash {
 public:
  explicit RoomIdHash(std::uint64_t secret) : secret_(secret) {}
  [[nodiscard]] std::size_t operator()(std::string_view id) const;
  using is_transparent = void;

 private:
  std::uint64_t secret_;
};

class RoomTable {
 public:
  /// `room_count` is shared by all shards.
  RoomTable(const RoomIdHash& hash, std::atomic<std::uint32_t>& room_count, std::uint32_t rooms_max);

  [[nodiscard]] room::Room* find(std::string_view id);
  /// @return null at the limit of rooms.
  room::Room* make(const std::string& id, service::Service& service, const room::RoomSettings& settings,
                   room::RoomHost& host);
  /// Takes the room off the table; it lives on until `destroy_retired`.
  void retire(room::Room& room);
  void destroy_retired();
  /// Visits rooms in no particular order, until `visit` returns false.
  template <class Visit>
  void visit(Visit visit) const {
    for (const auto& [id, room] : rooms_) {
      if (!visit(*room)) {
        return;
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return rooms_.size(); }

 private:
  struct Equal {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a == b; }
  };

  // The key is the room's own id: stable for as long as the entry.
  std::unordered_map<std::string_view, std::unique_ptr<room::Room>, RoomIdHash, Equal> rooms_;
  std::vector<std::unique_ptr<room::Room>> retired_;
  std::atomic<std::uint32_t>& room_count_;
  std::uint32_t rooms_max_;
};

}  // namespace jamsocket::server
