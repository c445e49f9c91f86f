#include "wasm/mappings.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

namespace jamsocket::wasm {
namespace {

// A slot's accessible part and the rest of it (memory_slots.hpp).
constexpr std::uint64_t kMappingsPerRoom = 2;
// Libraries, compiled modules, the heap, and two for the stack of each thread.
constexpr std::uint64_t kOtherMappings = 4096;

}  // namespace

std::uint32_t rooms_for_mappings(std::uint64_t mappings_max) {
  const std::uint64_t left = mappings_max > 2 * kOtherMappings ? mappings_max - kOtherMappings : mappings_max / 2;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(left / kMappingsPerRoom, 1, std::numeric_limits<std::uint32_t>::max()));
}

std::optional<std::uint64_t> read_mappings_max(const std::string& file) {
  std::ifstream stream(file);
  std::uint64_t mappings_max = 0;
  if (!(stream >> mappings_max) || mappings_max == 0) {
    return std::nullopt;
  }
  return mappings_max;
}

}  // namespace jamsocket::wasm
