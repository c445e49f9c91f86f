#include "room/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "room/rebuild.hpp"

namespace jamsocket::room {
namespace {

Verification unknown(std::string reason) { return {.verdict = Verdict::Unknown, .reason = std::move(reason)}; }
Verification differs(std::string reason) { return {.verdict = Verdict::Differs, .reason = std::move(reason)}; }

std::string where_they_part(std::string_view run_again, std::string_view taken) {
  if (run_again.size() != taken.size()) {
    return fmt::format("the memory is captured in {} bytes, run again in {}", taken.size(), run_again.size());
  }
  const auto parted = std::ranges::mismatch(run_again, taken);
  return fmt::format("the memory differs, first at byte {} of what is captured", parted.in1 - run_again.begin());
}

}  // namespace

Verification verify(store::StoredRoom stored, const store::Checkpoint& taken, service::Service& service,
                    const service::EffectLimits& limits) {
  const auto parts = decode_checkpoint(taken.bytes);
  if (!parts) {
    return differs(parts.error().message);
  }
  std::erase_if(stored.tail, [&](const store::Record& record) { return record.number > taken.number; });
  if (store::last_event(stored) != taken.number) {
    return unknown("the events up to it are not stored");
  }
  const auto rebuild = Rebuild::from(std::move(stored));
  if (!rebuild) {
    return differs(rebuild.error().message);
  }
  if ((*rebuild)->version != parts->version || !service.has_version(parts->version)) {
    return unknown("its code is not at hand");
  }
  if ((*rebuild)->side != parts->side) {
    return differs("its timer, its clients or its numbers differ");
  }
  service::Effects nobody_hears(limits);
  const auto instance = run(**rebuild, service, nobody_hears, nullptr);
  if (!instance) {
    return differs(instance.error().reason);
  }
  std::string state;
  if ((*instance)->capture(state) != service::Outcome::Done) {
    return unknown("it cannot be captured");
  }
  if (state != parts->state) {
    return differs(where_they_part(state, parts->state));
  }
  return {.verdict = Verdict::Same};
}

}  // namespace jamsocket::room
