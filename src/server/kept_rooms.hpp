// server/kept_rooms.hpp
//
// What can be asked of rooms on disk, and done to them: for the command, on a directory that no server uses, and for
// the admin routes of a running server, on its store's thread.
//
// A change is planned first, which may fail, and committed by whoever asked: where a commit fails, a server must end.

#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/database.hpp"
#include "store/types.hpp"

namespace jamsocket::server {

using KeptJson = nlohmann::ordered_json;

/// At most `count_max` rooms behind `after`, of `service` alone if it is not empty:
/// {"rooms": [{"service", "room", "events", "checkpoint_event", "checkpoint_bytes", "timer_unix_ms"}], "next"}.
/// "next": {"service", "room"} from which to go on; null: that was all.
[[nodiscard]] Result<KeptJson> list_kept(store::Database& data, const std::string& service,
                                         const std::optional<store::RoomName>& after, std::size_t count_max);

/// The greatest limits.room_id_bytes_max that there is: whether an id is within the server's own shows when somebody
/// comes, and may change.
inline constexpr std::size_t kRoomIdBytesMost = 1024;

/// The room of that id; of the one service that has it, where `service` is empty.
/// @error NotFound, InvalidArgument  there is none; several services have one.
[[nodiscard]] Result<store::RoomName> find_kept(store::Database& data, const std::string& service,
                                                const std::string& id);

/// What is kept of one room. @error Malformed  it is damaged.
[[nodiscard]] Result<KeptJson> describe_kept(store::Database& data, const store::RoomName& name);

/// The room, as it was after event `to` if given; else with its whole history where `extent` says so.
/// @error NotFound, InvalidArgument, Malformed  there is none; `to` is not kept; it is damaged.
/// @error TooLarge  its whole history takes more than `history_bytes_max`.
[[nodiscard]] Result<store::StoredRoom> read_kept(store::Database& data, const store::RoomName& name,
                                                  std::optional<std::uint64_t> to,
                                                  store::Extent extent = store::Extent::Needed,
                                                  std::uint64_t history_bytes_max = store::kUnlimitedBytes);

/// The room of a file, under another id or service where these are not empty.
/// @error Malformed, TooLarge  the file is none, or damaged; the room is larger when unpacked.
[[nodiscard]] Result<store::StoredRoom> open_room_file(std::string_view bytes, const std::string& service,
                                                       const std::string& id, std::uint64_t unpacked_bytes_max);

struct KeptChange {
  store::Batch batch;
  std::vector<store::PackedCheckpoint> checkpoints;
  std::string done;           ///< A sentence for who asked.
  bool leaves_timer = false;  ///< The room that is there afterwards has its timer set.
  [[nodiscard]] Result<void> commit(store::Database& data) const { return data.commit({&batch, 1}, checkpoints); }
};

/// A room that is damaged can be deleted as well.
[[nodiscard]] Result<KeptChange> plan_delete(store::Database& data, const store::RoomName& name);
/// A damaged room goes on as of its checkpoint. @error InvalidArgument  it is not damaged.
[[nodiscard]] Result<KeptChange> plan_accept(store::Database& data, const store::RoomName& name, store::RoomKey key);
/// @param key  for the room as it will be: one that no room has or had.
[[nodiscard]] Result<KeptChange> plan_rewind(store::Database& data, const store::RoomName& name, std::uint64_t to,
                                             store::RoomKey key);
/// @error AlreadyExists  there is a room of that name.
[[nodiscard]] Result<KeptChange> plan_fork(store::Database& data, const store::RoomName& name,
                                           std::optional<std::uint64_t> to, const std::string& new_id,
                                           store::RoomKey key);
/// Where the code is that a room needs to come back.
enum class CodeIs : std::uint8_t { Served, KeptOrMissing };
/// @error AlreadyExists  there is a room of that name.
[[nodiscard]] Result<KeptChange> plan_import(store::Database& data, const store::StoredRoom& room, store::RoomKey key,
                                             CodeIs code);

}  // namespace jamsocket::server
