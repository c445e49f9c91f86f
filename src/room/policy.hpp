// room/policy.hpp
//
// How rooms come to be (room strategy) and how empty ones end (shutdown policy).

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace jamsocket::room {

/// Written `implicit`, `api`, `uuid`, `short` or `short3` to `short12`.
struct RoomStrategy {
  enum class Kind : std::uint8_t {
    Implicit,  ///< Any id; connecting makes the room.
    Api,       ///< Rooms are made by POST with an explicit id.
    Uuid,      ///< Ids are UUIDs, made by POST /new_room only.
    Short,     ///< Ids are a few letters A-Z, made by POST /new_room only.
  };

  Kind kind = Kind::Implicit;
  std::uint32_t letters = 4;  ///< Short.

  /// @error InvalidArgument  the text is none of the strategies; the message names them.
  [[nodiscard]] static Result<RoomStrategy> parse(std::string_view text);

  [[nodiscard]] bool joining_makes_rooms() const { return kind == Kind::Implicit; }
  [[nodiscard]] bool explicit_ids() const { return kind == Kind::Implicit || kind == Kind::Api; }
  [[nodiscard]] bool generates_ids() const { return kind != Kind::Api; }
  /// A fresh id: random letters, or a version 4 UUID (RFC 9562 section 5.4).
  [[nodiscard]] std::string generate_id() const;
};

/// Written `never`, `immediate` or `<n>sec`.
struct ShutdownPolicy {
  /// How long a room may be empty; none: for ever.
  std::optional<std::chrono::seconds> empty_for = std::chrono::seconds{300};

  /// @error InvalidArgument  the text is none of the policies; the message names them.
  [[nodiscard]] static Result<ShutdownPolicy> parse(std::string_view text);
};

}  // namespace jamsocket::room
