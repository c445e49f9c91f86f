// cli/kept_rooms.hpp
//
// The kept rooms of a directory, whoever has it: opened here, or asked of the server that uses it.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "cli/data_folder.hpp"
#include "server/kept_rooms.hpp"

namespace jamsocket::cli {

using server::KeptJson;

/// One room, as a person names it.
struct RoomWanted {
  std::string service;  ///< Empty: of whichever service has one of that id.
  std::string id;
  std::optional<std::uint64_t> to;  ///< As it was after this event.
};

class KeptRooms {
 public:
  virtual ~KeptRooms() = default;
  /// @see server::list_kept
  virtual Result<KeptJson> list(const std::string& service, const std::optional<store::RoomName>& after) = 0;
  virtual Result<KeptJson> describe(const RoomWanted& room) = 0;
  virtual Result<store::StoredRoom> read(const RoomWanted& room, store::Extent extent) = 0;
  // Each answers with a sentence: what was done.
  virtual Result<std::string> bring_in(const store::StoredRoom& room) = 0;
  virtual Result<std::string> accept(const RoomWanted& room) = 0;
  virtual Result<std::string> forget(const RoomWanted& room) = 0;
  virtual Result<std::string> fork(const RoomWanted& room, const std::string& new_id) = 0;
  virtual Result<std::string> rewind(const RoomWanted& room) = 0;
};

/// @error NotFound, LimitReached, ...  there are no rooms; another process uses the directory and says not how to ask
/// it.
[[nodiscard]] Result<std::unique_ptr<KeptRooms>> open_kept_rooms(const std::string& directory,
                                                                 IfMissing if_missing = IfMissing::Refuse);

}  // namespace jamsocket::cli
