#include "wasm/call_state.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.hpp"

namespace jamsocket::wasm {
namespace {

// Longer lines are cut into lines of this size.
constexpr std::size_t kLineBytesMax = 4096;

}  // namespace

void GuestMemory::attach(wasmtime_context_t* context, const wasmtime_memory_t& memory) {
  context_ = context;
  memory_ = memory;
  base_ = reinterpret_cast<std::byte*>(wasmtime_memory_data(context, &memory_));
  size_bytes_ = wasmtime_memory_data_size(context, &memory_);
}

std::size_t GuestMemory::size_bytes() {
  if (context_ != nullptr) {
    size_bytes_ = wasmtime_memory_data_size(context_, &memory_);
  }
  return size_bytes_;
}

bool GuestMemory::grow_to(std::size_t bytes) {
  constexpr std::size_t kWasmPageBytes = std::size_t{64} << 10U;
  const std::size_t now = size_bytes();
  if (bytes < now || bytes % kWasmPageBytes != 0) {
    return false;
  }
  std::uint64_t before = 0;
  const ErrorHandle error(wasmtime_memory_grow(context_, &memory_, (bytes - now) / kWasmPageBytes, &before));
  return !error && size_bytes() == bytes;
}

bool CallWatch::tick() { return tick(SystemClock{}.steady(), thread_cpu_time()); }

bool CallWatch::tick(SteadyTime now, std::chrono::nanoseconds cpu_time) {
  if (++ticks_ == 1) {
    // At most a tick of it has run: what came before the first look is given away.
    cpu_at_first_tick_ = cpu_time;
    first_tick_ = now;
    return true;
  }
  // Not counted in ticks: a thread that waits for a processor sees few of them.
  const auto cpu_used = cpu_time - cpu_at_first_tick_;
  runs_long_ = cpu_used >= kLong;
  wall_is_over_ = now - first_tick_ >= wall_max_ * generosity_;
  cpu_left_ = cpu_max_ * generosity_ - cpu_used;
  return !wall_is_over_ && cpu_left_.count() > 0;
}

std::string CallWatch::sentence() const {
  if (wall_is_over_) {
    return fmt::format("the event ran for more than {} ms", wall_max_.count());
  }
  return fmt::format("the event used more than {} ms of CPU time", cpu_max_.count() / 1'000'000);
}

void LineBuffer::write(std::string_view text, service::Effects& effects) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t room = kLineBytesMax - line_.size();
    const std::size_t taken = std::min({end, text.size(), room});
    line_.append(text.substr(0, taken));
    text.remove_prefix(taken);
    if (taken == end) {
      text.remove_prefix(1);
      effects.log(level_, line_);
      line_.clear();
    } else if (line_.size() == kLineBytesMax) {
      flush(effects);
    }
  }
}

void LineBuffer::flush(service::Effects& effects) {
  if (!line_.empty()) {
    effects.log(level_, line_);
    line_.clear();
  }
}

}  // namespace jamsocket::wasm
