#include "server/services.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/log.hpp"
#include "config/patterns.hpp"

namespace jamsocket::server {

Result<void> check_service_name(std::string_view name) {
  if (!config::is_service_name(name)) {
    return fail(ErrorCode::InvalidArgument, fmt::format("'{}' cannot be a service's name; allowed: {}",
                                                        escape_for_log(name, 80), config::kServiceNames));
  }
  return {};
}

void HostedService::take_the_place_of(const std::shared_ptr<const HostedService>& replaced) {
  cpu_ns = replaced->cpu_ns;
  room_count = replaced->room_count;
  before = replaced->before;
  before.emplace_back(replaced);
  std::erase_if(before, [](const auto& each) { return each.expired(); });
}

std::uint64_t HostedService::memory_bytes() const {
  std::uint64_t bytes = service->room_memory_bytes();
  for (const auto& each : before) {
    const auto alive = each.lock();
    bytes += alive == nullptr ? 0 : alive->service->room_memory_bytes();
  }
  return bytes;
}

HostedServicePtr ServiceTable::find(std::string_view path_name) const {
  const auto found = services_.find(path_name);
  return found == services_.end() ? nullptr : found->second;
}

bool ServiceTable::has_named() const { return !services_.empty() && !services_.rbegin()->first.empty(); }

std::string ServiceTable::names() const {
  std::string names;
  for (const auto& [path_name, hosted] : services_) {
    names += names.empty() ? "" : ", ";
    names += path_name.empty() ? hosted->service->name() : path_name;
  }
  return names;
}

std::shared_ptr<const ServiceTable> ServiceTable::with(const std::string& path_name, HostedServicePtr service) const {
  auto next = std::make_shared<ServiceTable>(*this);
  if (service == nullptr) {
    next->services_.erase(path_name);
  } else {
    next->services_[path_name] = std::move(service);
  }
  return next;
}

std::shared_ptr<const ServiceTable> Services::exchange(std::shared_ptr<const ServiceTable> next) {
  current_.store(next.get(), std::memory_order_release);
  return std::exchange(owned_, std::move(next));
}

}  // namespace jamsocket::server
