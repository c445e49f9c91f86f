// server/services.hpp
//
// The services of a server: which are there at this moment, and what is set for the rooms of each.
//
// A table is immutable; a change makes a new one and exchanges it in one store, for all shards at
// once. A room keeps the service it began with, whatever becomes of the table.

#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "server/settings.hpp"
#include "server/static_files.hpp"
#include "service/service.hpp"

namespace jamsocket::server {

/// A service as it is served. Immutable but for what is counted; alive for as long as one of its rooms is.
struct HostedService {
  std::string path_name;  ///< In /ws/{service}/{room}; empty: the one at /ws/{room}.
  std::unique_ptr<service::Service> service;
  ServiceSettings settings;
  std::shared_ptr<const auth::Verifier> verifier;  ///< Null: it asks for no tokens.
  std::unique_ptr<const StaticFiles> files;        ///< At /{service}/; null: none. Not for the unnamed one.
  /// CPU time of its rooms, in nanoseconds, measured like a room's share. This and the next are shared with those that
  /// replace it, and so what they have in common.
  std::shared_ptr<std::atomic<std::uint64_t>> cpu_ns = std::make_shared<std::atomic<std::uint64_t>>(0);
  /// Rooms there are.
  std::shared_ptr<std::atomic<std::uint32_t>> room_count = std::make_shared<std::atomic<std::uint32_t>>(0);
  /// Those that it replaced, while they have rooms.
  std::vector<std::weak_ptr<const HostedService>> before;

  /// Before it is served.
  void take_the_place_of(const std::shared_ptr<const HostedService>& replaced);
  /// Of all its rooms, those included that live on with what it replaced. Any thread.
  [[nodiscard]] std::uint64_t memory_bytes() const;
};
using HostedServicePtr = std::shared_ptr<HostedService>;

/// @error InvalidArgument  not what a service may be called; the message says what is.
[[nodiscard]] Result<void> check_service_name(std::string_view name);

class ServiceTable {
 public:
  /// @return null: there is no such service. `path_name` empty: the one at /ws/{room}.
  [[nodiscard]] HostedServicePtr find(std::string_view path_name) const;
  [[nodiscard]] bool has_named() const;
  /// For people: "chat, counter". The unnamed one is called as it calls itself.
  [[nodiscard]] std::string names() const;
  [[nodiscard]] const std::map<std::string, HostedServicePtr, std::less<>>& all() const { return services_; }

  /// A table that differs from this one in the service of that name; null: it has none.
  [[nodiscard]] std::shared_ptr<const ServiceTable> with(const std::string& path_name, HostedServicePtr service) const;

 private:
  std::map<std::string, HostedServicePtr, std::less<>> services_;
};

/// The table in force. Thread-safe for readers; changers take turns.
class Services {
 public:
  Services() = default;
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  /// Valid until the reader's shard runs its next task.
  [[nodiscard]] const ServiceTable& current() const { return *current_.load(std::memory_order_acquire); }
  [[nodiscard]] const std::shared_ptr<const ServiceTable>& owned() const { return owned_; }

  /// @return the table that was in force until now: to be kept until every shard has run a task that
  ///         was posted after this, as its readers may still look at it.
  [[nodiscard]] std::shared_ptr<const ServiceTable> exchange(std::shared_ptr<const ServiceTable> next);

 private:
  std::shared_ptr<const ServiceTable> owned_ = std::make_shared<const ServiceTable>();
  std::atomic<const ServiceTable*> current_{owned_.get()};
};

}  // namespace jamsocket::server
