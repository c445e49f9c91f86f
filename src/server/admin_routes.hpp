// server/admin_routes.hpp
//
// The table of what operators can ask; docs/admin.md says it to them.

#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "server/admin_listener.hpp"
#include "server/shard.hpp"

namespace jamsocket::server {

/// What the routes act on; must outlive the listener's thread.
class AdminTarget {
 public:
  virtual ~AdminTarget() = default;
  [[nodiscard]] virtual std::span<const std::unique_ptr<Shard>> shards() const = 0;
  /// The one that has the room, if there is one of that id.
  [[nodiscard]] virtual Shard& owner_of(std::string_view room_id) const = 0;
  [[nodiscard]] virtual Logger& logger() const = 0;
  [[nodiscard]] virtual bool is_stopping() const = 0;
  /// Begins to stop, as a signal would make it, and returns at once.
  virtual void ask_to_stop() = 0;
};

[[nodiscard]] std::vector<AdminRoute> admin_routes(AdminTarget& target, AdminListener& listener);

}  // namespace jamsocket::server
