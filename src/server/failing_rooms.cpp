#include "server/failing_rooms.hpp"

#include <algorithm>

namespace jamsocket::server {
namespace {

constexpr std::chrono::minutes kForgottenAfter{1};

}  // namespace

void FailingRooms::note(const RoomName& name, SteadyTime now, SteadyTime slow_until) {
  forget_old(now);
  std::string key = key_of(name);
  const auto found = by_name_.find(key);
  if (found == by_name_.end()) {
    by_age_.push_back({.name = std::move(key)});
    by_name_.emplace(by_age_.back().name, std::prev(by_age_.end()));
  } else {
    by_age_.splice(by_age_.end(), by_age_, found->second);
    if (by_age_.back().rests_until + kForgottenAfter < now) {
      by_age_.back().failures = 0;
    }
  }
  Failing& failing = by_age_.back();
  failing.rests_until = now;
  failing.slow_until = slow_until;
  if (++failing.failures >= settings_.failures) {
    constexpr std::uint32_t kDoublingsMax = 30;
    const std::uint32_t doublings = std::min(failing.failures - settings_.failures, kDoublingsMax);
    failing.rests_until += std::min(settings_.first * (std::int64_t{1} << doublings), settings_.most);
  }
}

Milliseconds FailingRooms::rests_for(const RoomName& name, SteadyTime now) const {
  const auto found = by_name_.find(key_of(name));
  if (found == by_name_.end()) {
    return Milliseconds{0};
  }
  return std::max(std::chrono::ceil<Milliseconds>(found->second->rests_until - now), Milliseconds{0});
}

SteadyTime FailingRooms::slow_until(const RoomName& name) const {
  const auto found = by_name_.find(key_of(name));
  return found == by_name_.end() ? SteadyTime{} : found->second->slow_until;
}

std::string FailingRooms::key_of(const RoomName& name) {
  std::string key(name.service);
  key += '/';  // No service has one in its name.
  key += name.id;
  return key;
}

void FailingRooms::forget_old(SteadyTime now) {
  while (!by_age_.empty() && (by_age_.size() >= kRemembered || by_age_.front().rests_until + kForgottenAfter < now)) {
    by_name_.erase(by_age_.front().name);
    by_age_.pop_front();
  }
}

}  // namespace jamsocket::server
