// base/keyed_limit.hpp
//
// How many there may be of one key (an address, a subject), and how fast new ones may come.
//
// Thread-safe, by locks: asked when a client comes and goes, never for a message. Why: docs/decisions/0017.

#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/clock.hpp"
#include "base/token_bucket.hpp"

namespace jamsocket {

class KeyedLimit {
 public:
  struct Limits {
    std::uint32_t places_max = 0;  ///< At once; 0: any number.
    Rate rate{};                   ///< Of new ones.

    [[nodiscard]] bool is_on() const { return places_max != 0 || rate.is_on(); }
  };

  /// One of the places of a key, given back when it is destroyed.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : limit_(std::exchange(other.limit_, nullptr)), key_(std::move(other.key_)) {}
    Place& operator=(Place&& other) noexcept {
      if (this != &other) {
        give_back();
        limit_ = std::exchange(other.limit_, nullptr);
        key_ = std::move(other.key_);
      }
      return *this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { give_back(); }

    [[nodiscard]] bool is_held() const { return limit_ != nullptr; }

   private:
    friend class KeyedLimit;
    Place(KeyedLimit& limit, std::string_view key) : limit_(&limit), key_(key) {}
    void give_back();

    KeyedLimit* limit_ = nullptr;
    std::string key_;
  };

  enum class Refusal : std::uint8_t {
    TooMany,  ///< As many as there may be.
    TooFast,  ///< As many came in the last period as may.
  };

  explicit KeyedLimit(const Limits& limits) : limits_(limits) {}
  KeyedLimit(const KeyedLimit&) = delete;
  KeyedLimit& operator=(const KeyedLimit&) = delete;

  /// A place for one more of `key`; must not outlive the limit. What is refused counts for nothing.
  [[nodiscard]] std::expected<Place, Refusal> take(std::string_view key, SteadyTime now);
  [[nodiscard]] const Limits& limits() const { return limits_; }
  /// Keys that are remembered: those with places, and those that came within the last period or two.
  [[nodiscard]] std::size_t keys();

 private:
  struct Entry {
    std::uint32_t places = 0;
    TokenBucket bucket;
  };
  /// A part of the keys, so that shards seldom wait for each other.
  struct Part {
    std::mutex mutex;  // Everything below. Held for a look-up, or for a pass over the part once a period.
    std::unordered_map<std::string, Entry> entries;
    SteadyTime next_sweep{};
  };

  [[nodiscard]] Part& part_of(std::string_view key);
  void sweep(Part& part, SteadyTime now) const;
  void give_back(const std::string& key);

  const Limits limits_;
  std::array<Part, 16> parts_;
};

}  // namespace jamsocket
