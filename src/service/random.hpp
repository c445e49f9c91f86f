// service/random.hpp
//
// The random bytes of one event: ChaCha20 keyed by the room's seed, with the event's number as
// nonce, so that a replayed event draws the same bytes.

#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "service/event.hpp"

namespace jamsocket::service {

class EventRandom {
 public:
  /// Costs nothing until the first `fill`. `seed` must outlive it.
  EventRandom(const Seed& seed, std::uint64_t event_number);
  ~EventRandom();
  EventRandom(EventRandom&&) noexcept;
  EventRandom& operator=(EventRandom&&) noexcept;

  /// The next bytes of the event's stream.
  /// @source RFC 8439 section 2.4; nonce = 4 zero bytes, then the event's number, little-endian; counter from 0.
  void fill(std::span<std::byte> out);

 private:
  struct Stream;
  const Seed* seed_;
  std::uint64_t event_number_;
  std::unique_ptr<Stream> stream_;
};

/// A new room's seed, from the operating system.
[[nodiscard]] Seed random_seed();

}  // namespace jamsocket::service
