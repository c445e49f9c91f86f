// room/verify.hpp
//
// Whether what is stored of a room leads to the memory that it had: its events are run again from its last checkpoint,
// and what comes out is compared with the next one, to the bit.

#pragma once

#include <cstdint>
#include <string>

#include "service/effects.hpp"
#include "service/service.hpp"
#include "store/types.hpp"

namespace jamsocket::room {

enum class Verdict : std::uint8_t {
  Same,
  Differs,  ///< Were it brought back, it would not be what it was.
  Unknown,  ///< It cannot be told: its code is not at hand, or the events are not those up to the checkpoint.
};

struct Verification {
  Verdict verdict = Verdict::Unknown;
  std::string reason{};  ///< Unless they are the same.
};

/// @param stored  the room, with the checkpoint before `taken` and the events up to it or beyond; its heap is used up.
/// @param limits  of the effects, as they were when the events happened.
[[nodiscard]] Verification verify(store::StoredRoom stored, const store::Checkpoint& taken, service::Service& service,
                                  const service::EffectLimits& limits);

}  // namespace jamsocket::room
