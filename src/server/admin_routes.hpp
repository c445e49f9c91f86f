// server/admin_routes.hpp
//
// The table of what operators can ask; docs/admin.md says it to them.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "server/admin_listener.hpp"
#include "server/shard.hpp"

namespace jamsocket::store {
class SqliteStore;
}  // namespace jamsocket::store

namespace jamsocket::server {

enum class ServiceChange : std::uint8_t { Add, Replace, Remove };

/// What the routes act on; must outlive the listener's thread.
class AdminTarget {
 public:
  virtual ~AdminTarget() = default;
  [[nodiscard]] virtual std::span<const std::unique_ptr<Shard>> shards() const = 0;
  /// The one that has the room, if there is one of that name.
  [[nodiscard]] virtual Shard& owner_of(const RoomName& name) const = 0;
  [[nodiscard]] virtual Logger& logger() const = 0;
  [[nodiscard]] virtual bool is_stopping() const = 0;
  [[nodiscard]] virtual std::vector<ServiceFacts> service_facts() const = 0;
  /// Leads to `done`, on another thread. @return false: too many changes wait; `done` is not called.
  virtual bool change_service(ServiceChange change, std::string name, std::string wanted,
                              std::move_only_function<void(const Result<void>&)> done) = 0;
  /// Runs `task` on a thread that nobody waits for. Any thread. @return false: too many wait, or the server stops.
  virtual bool run_beside(std::move_only_function<void()> task) = 0;
  /// Begins to stop, as a signal would make it, and returns at once.
  virtual void ask_to_stop() = 0;
  /// Null: nothing is kept.
  [[nodiscard]] virtual store::SqliteStore* kept_rooms() = 0;
  /// What the service of that own name, which keeps its rooms, is called in paths; nothing: there is none.
  [[nodiscard]] virtual std::optional<std::string> path_of(std::string_view own_name) const = 0;
  /// Whether the service of that own name can run rooms that were made by code of that version.
  [[nodiscard]] virtual bool runs_version(std::string_view own_name, std::string_view version) const = 0;
  /// What had to be kept could not be: ends the process.
  virtual void keeping_failed(const Error& error) = 0;
};

/// With which status an error is answered.
[[nodiscard]] int status_of(ErrorCode code);

[[nodiscard]] std::vector<AdminRoute> admin_routes(AdminTarget& target, AdminListener& listener,
                                                   const RoomFileLimits& room_files);

}  // namespace jamsocket::server
