// A guest's state as bytes, and back. Little-endian:
//
//   u64 size of the memory | u32 number of globals | for each: u8 type, 16 bytes value
//   then runs of pages of 4 KiB that are not all zero: u32 first page | u32 how many | the pages

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "jamsocket/state.hpp"
#include "wasm/engine_impl.hpp"
#include "wasm/guest.hpp"

namespace jamsocket::wasm {
namespace {

using service::Outcome;

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kValueBytes = 16;
constexpr std::size_t kRunHeadBytes = 8;

bool is_zero(const std::byte* page) {
  // In words: eight of them fit a vector register or two.
  std::uint64_t any = 0;
  for (std::size_t at = 0; at < kPageBytes && any == 0; at += 64) {
    std::uint64_t words[8];
    std::memcpy(words, page + at, sizeof words);
    for (const std::uint64_t word : words) {
      any |= word;
    }
  }
  return any == 0;
}

wasmtime_global_t global_of(wasmtime_context_t* context, const wasmtime_instance_t& instance, std::string_view name) {
  wasmtime_extern_t item;
  JAM_CHECK(wasmtime_instance_export_get(context, &instance, name.data(), name.size(), &item));
  JAM_CHECK(item.kind == WASMTIME_EXTERN_GLOBAL);
  const wasmtime_global_t global = item.of.global;
  wasmtime_extern_delete(&item);
  return global;
}

wasmtime_valkind_t kind_of(ValueType type) {
  switch (type) {
    case ValueType::I32:
      return WASMTIME_I32;
    case ValueType::I64:
      return WASMTIME_I64;
    case ValueType::F32:
      return WASMTIME_F32;
    case ValueType::F64:
      return WASMTIME_F64;
    case ValueType::V128:
      return WASMTIME_V128;
    case ValueType::FuncRef:
      break;
  }
  JAM_CHECK(false);  // An obstacle: such a module is not captured.
  return WASMTIME_I32;
}

std::size_t bytes_of(ValueType type) {
  switch (type) {
    case ValueType::I32:
    case ValueType::F32:
      return 4;
    case ValueType::I64:
    case ValueType::F64:
      return 8;
    default:
      return kValueBytes;
  }
}

}  // namespace

void Guest::capture(std::string& state) {
  const std::size_t size = memory().size_bytes();
  Writer writer;
  writer.put(static_cast<std::uint64_t>(size));
  const auto& globals = module_->capturable_globals();
  writer.put(static_cast<std::uint32_t>(globals.size()));
  for (const CapturableGlobal& global : globals) {
    const wasmtime_global_t place = global_of(context_, instance_, global.export_name);
    wasmtime_val_t value{};
    wasmtime_global_get(context_, &place, &value);
    char raw[kValueBytes] = {};
    std::memcpy(raw, &value.of, bytes_of(global.type));
    writer.put(static_cast<std::uint8_t>(global.type));
    writer.put_rest({raw, kValueBytes});
  }
  state += writer.bytes();
  const std::byte* const base = memory().base();
  const std::size_t pages = size / kPageBytes;
  // A page that is not zero is seen to be so at its beginning: counting costs less than growing twice.
  std::size_t needed = 0;
  for (std::size_t page = 0; page < pages; ++page) {
    needed += is_zero(base + page * kPageBytes) ? 0 : kPageBytes + kRunHeadBytes;
  }
  state.reserve(state.size() + needed);
  for (std::size_t page = 0; page < pages;) {
    if (is_zero(base + page * kPageBytes)) {
      ++page;
      continue;
    }
    std::size_t end = page + 1;
    while (end < pages && !is_zero(base + end * kPageBytes)) {
      ++end;
    }
    writer.clear();
    writer.put(static_cast<std::uint32_t>(page));
    writer.put(static_cast<std::uint32_t>(end - page));
    state += writer.bytes();
    state.append(reinterpret_cast<const char*>(base + page * kPageBytes), (end - page) * kPageBytes);
    page = end;
  }
}

bool Guest::put_back(std::string_view state) {
  const auto unfit = [this](std::string_view why) {
    fail(Outcome::BadCall, fmt::format("what was kept of the room does not fit the module: {}", why));
    return false;
  };
  Reader reader(state);
  const auto size = reader.get<std::uint64_t>();
  const auto& globals = module_->capturable_globals();
  if (reader.get<std::uint32_t>() != globals.size()) {
    return unfit("it has another number of globals");
  }
  for (const CapturableGlobal& global : globals) {
    if (reader.get<std::uint8_t>() != static_cast<std::uint8_t>(global.type)) {
      return unfit("a global is of another type");
    }
    wasmtime_val_t value{};
    value.kind = kind_of(global.type);
    char raw[kValueBytes];
    for (char& byte : raw) {
      byte = reader.get<char>();
    }
    std::memcpy(&value.of, raw, bytes_of(global.type));
    const wasmtime_global_t place = global_of(context_, instance_, global.export_name);
    const ErrorHandle error(wasmtime_global_set(context_, &place, &value));
    JAM_CHECK(!error);
  }
  if (!reader.ok() || size < memory().size_bytes() || !memory().grow_to(size)) {
    return unfit(fmt::format("its memory is of {} KiB", size >> 10U));
  }
  std::byte* const base = memory().base();
  const std::size_t pages = size / kPageBytes;
  std::size_t next = 0;
  // What instances begin with (data segments, the start function's work) is not the room's: it had zeros there.
  const auto clear_up_to = [&](std::size_t end) {
    for (; next < end; ++next) {
      if (!is_zero(base + next * kPageBytes)) {
        std::memset(base + next * kPageBytes, 0, kPageBytes);
      }
    }
  };
  std::string_view left = reader.rest();
  while (!left.empty()) {
    Reader head(left);
    const std::size_t first = head.get<std::uint32_t>();
    const std::size_t count = head.get<std::uint32_t>();
    const std::string_view bytes = head.rest();
    if (first < next || first > pages || count == 0 || count > pages - first || bytes.size() < count * kPageBytes) {
      return unfit("its pages are not in order");
    }
    clear_up_to(first);
    std::memcpy(base + first * kPageBytes, bytes.data(), count * kPageBytes);
    next = first + count;
    left = bytes.substr(count * kPageBytes);
  }
  clear_up_to(pages);
  return true;
}

}  // namespace jamsocket::wasm
