#include "base/keyed_limit.hpp"

#include <functional>

#include "base/check.hpp"

namespace jamsocket {

void KeyedLimit::Place::give_back() {
  if (limit_ != nullptr) {
    std::exchange(limit_, nullptr)->give_back(key_);
  }
}

std::expected<KeyedLimit::Place, KeyedLimit::Refusal> KeyedLimit::take(std::string_view key, SteadyTime now) {
  Part& part = part_of(key);
  const std::scoped_lock lock(part.mutex);
  sweep(part, now);
  Entry& entry = part.entries[std::string(key)];
  // An entry that is made here and refused stays until the next sweep: it was asked for within this period.
  if (limits_.places_max != 0 && entry.places >= limits_.places_max) {
    return std::unexpected(Refusal::TooMany);
  }
  if (limits_.rate.is_on() && !entry.bucket.take(1, limits_.rate, now)) {
    return std::unexpected(Refusal::TooFast);
  }
  ++entry.places;
  return Place(*this, key);
}

std::size_t KeyedLimit::keys() {
  std::size_t count = 0;
  for (Part& part : parts_) {
    const std::scoped_lock lock(part.mutex);
    count += part.entries.size();
  }
  return count;
}

KeyedLimit::Part& KeyedLimit::part_of(std::string_view key) {
  return parts_[std::hash<std::string_view>{}(key) % parts_.size()];
}

// Forgets keys without places whose rate has recovered.
void KeyedLimit::sweep(Part& part, SteadyTime now) const {
  if (now < part.next_sweep) {
    return;
  }
  part.next_sweep = now + limits_.rate.period;
  std::erase_if(part.entries,
                [now](const auto& item) { return item.second.places == 0 && item.second.bucket.is_full(now); });
}

void KeyedLimit::give_back(const std::string& key) {
  Part& part = part_of(key);
  const std::scoped_lock lock(part.mutex);
  const auto found = part.entries.find(key);
  JAM_CHECK(found != part.entries.end() && found->second.places > 0);
  --found->second.places;
  if (found->second.places == 0 && !limits_.rate.is_on()) {
    part.entries.erase(found);
  }
}

}  // namespace jamsocket
