// WASI preview 1 for rooms: no files, no network, no environment, no arguments. Time and randomness
// are the event's, standard output and error are the room's log, everything else is an errno, so
// that modules load whatever their libraries import.
//
// Source: the preview 1 witx files; numbers of errno are theirs.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "wasm/host_functions.hpp"

namespace jamsocket::wasm {
namespace {

constexpr std::uint32_t kSuccess = 0;
constexpr std::uint32_t kBadDescriptor = 8;
constexpr std::uint32_t kInvalid = 28;
constexpr std::uint32_t kNoSuchSyscall = 52;
constexpr std::uint32_t kSeekOnPipe = 70;
constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;
// One write takes at most so much; the guest's library calls again for the rest. Keeps a call short.
constexpr std::uint32_t kWriteBytesMax = 64U << 10U;
constexpr std::uint32_t kIoVectorsMax = 1024;

template <class T>
void store(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

std::uint32_t load_u32(const std::byte* at) {
  std::uint32_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

bool is_standard_output(std::uint32_t descriptor) { return descriptor == 1 || descriptor == 2; }

void no_such_syscall(HostCall& call) { call.result(kNoSuchSyscall); }

void bad_descriptor(HostCall& call) { call.result(kBadDescriptor); }

void success(HostCall& call) { call.result(kSuccess); }

// args_sizes_get and environ_sizes_get: two counts, both 0. Modules built as WASI commands ask three
// times a message, so this does nothing else.
void empty_sizes(HostCall& call) {
  std::byte* const count = call.bytes(call.u32(0), 4, "a WASI sizes function");
  if (call.failed()) {
    return;
  }
  std::byte* const size = call.bytes(call.u32(1), 4, "a WASI sizes function");
  if (call.failed()) {
    return;
  }
  store<std::uint32_t>(count, 0);
  store<std::uint32_t>(size, 0);
  call.result(kSuccess);
}

void clock_resolution(HostCall& call) {
  std::byte* const out = call.bytes(call.u32(1), 8, "clock_res_get");
  if (!call.failed()) {
    store(out, kNanosecondsPerMillisecond);
    call.result(kSuccess);
  }
}

// clock_time_get(clock, precision, out): every clock stands still at the event's time.
void clock_time(HostCall& call) {
  std::byte* const out = call.bytes(call.u32(2), 8, "clock_time_get");
  if (!call.failed()) {
    store(out, static_cast<std::uint64_t>(call.state().time_ms) * kNanosecondsPerMillisecond);
    call.result(kSuccess);
  }
}

void random_get(HostCall& call) {
  const std::uint32_t length = call.u32(1);
  if (length > kRandomBytesMax) {
    return call.result(kInvalid);
  }
  std::byte* const out = call.bytes(call.u32(0), length, "random_get");
  if (!call.failed()) {
    fill_random(call.state(), {out, length});
    call.result(kSuccess);
  }
}

// fd_write(descriptor, vectors, count, written)
void write_lines(HostCall& call) {
  const std::uint32_t descriptor = call.u32(0);
  const std::uint32_t count = call.u32(2);
  if (!is_standard_output(descriptor)) {
    return call.result(kBadDescriptor);
  }
  if (count > kIoVectorsMax) {
    return call.result(kInvalid);
  }
  const std::byte* const vectors = call.bytes(call.u32(1), count * 8, "fd_write");
  if (call.failed()) {
    return;
  }
  std::byte* const written_at = call.bytes(call.u32(3), 4, "fd_write");
  if (call.failed()) {
    return;
  }
  LineBuffer& lines = descriptor == 1 ? call.state().standard_output : call.state().standard_error;
  std::uint32_t written = 0;
  for (std::uint32_t i = 0; i < count && written < kWriteBytesMax; ++i) {
    const std::byte* const vector = vectors + std::size_t{i} * 8;
    const std::string_view text = call.text(load_u32(vector), load_u32(vector + 4), "fd_write");
    if (call.failed()) {
      return;
    }
    const std::string_view taken = text.substr(0, kWriteBytesMax - written);
    lines.write(taken, call.effects());
    written += static_cast<std::uint32_t>(taken.size());
  }
  store(written_at, written);
  call.result(kSuccess);
}

// fd_fdstat_get(descriptor, out): standard output and error are character devices that can be written.
void descriptor_status(HostCall& call) {
  constexpr std::uint32_t kStatusBytes = 24;
  constexpr std::uint8_t kCharacterDevice = 2;
  constexpr std::uint64_t kRightToWrite = std::uint64_t{1} << 6U;
  if (call.u32(0) > 2) {
    return call.result(kBadDescriptor);
  }
  std::byte* const out = call.bytes(call.u32(1), kStatusBytes, "fd_fdstat_get");
  if (call.failed()) {
    return;
  }
  std::memset(out, 0, kStatusBytes);
  store(out, kCharacterDevice);
  store(out + 8, kRightToWrite);
  call.result(kSuccess);
}

void seek(HostCall& call) { call.result(call.u32(0) <= 2 ? kSeekOnPipe : kBadDescriptor); }

void exit_process(HostCall& call) {
  call.fail(service::Outcome::Trap, fmt::format("the guest called proc_exit({})", call.u32(0)));
}

constexpr std::string_view kWasi = "wasi_snapshot_preview1";

template <void (*Function)(HostCall&)>
constexpr HostFunction wasi(std::string_view name, std::string_view parameters, std::string_view results = "i") {
  return {kWasi, name, parameters, results, host_callback<Function>};
}

constexpr std::array kWasiFunctions{
    wasi<success>("args_get", "ii"),
    wasi<empty_sizes>("args_sizes_get", "ii"),
    wasi<success>("environ_get", "ii"),
    wasi<empty_sizes>("environ_sizes_get", "ii"),
    wasi<clock_resolution>("clock_res_get", "ii"),
    wasi<clock_time>("clock_time_get", "iIi"),
    wasi<no_such_syscall>("fd_advise", "iIIi"),
    wasi<no_such_syscall>("fd_allocate", "iII"),
    wasi<success>("fd_close", "i"),
    wasi<no_such_syscall>("fd_datasync", "i"),
    wasi<descriptor_status>("fd_fdstat_get", "ii"),
    wasi<no_such_syscall>("fd_fdstat_set_flags", "ii"),
    wasi<no_such_syscall>("fd_fdstat_set_rights", "iII"),
    wasi<bad_descriptor>("fd_filestat_get", "ii"),
    wasi<no_such_syscall>("fd_filestat_set_size", "iI"),
    wasi<no_such_syscall>("fd_filestat_set_times", "iIIi"),
    wasi<bad_descriptor>("fd_pread", "iiiIi"),
    wasi<bad_descriptor>("fd_prestat_get", "ii"),
    wasi<bad_descriptor>("fd_prestat_dir_name", "iii"),
    wasi<bad_descriptor>("fd_pwrite", "iiiIi"),
    wasi<bad_descriptor>("fd_read", "iiii"),
    wasi<bad_descriptor>("fd_readdir", "iiiIi"),
    wasi<no_such_syscall>("fd_renumber", "ii"),
    wasi<seek>("fd_seek", "iIii"),
    wasi<no_such_syscall>("fd_sync", "i"),
    wasi<seek>("fd_tell", "ii"),
    wasi<write_lines>("fd_write", "iiii"),
    wasi<no_such_syscall>("path_create_directory", "iii"),
    wasi<no_such_syscall>("path_filestat_get", "iiiii"),
    wasi<no_such_syscall>("path_filestat_set_times", "iiiiIIi"),
    wasi<no_such_syscall>("path_link", "iiiiiii"),
    wasi<no_such_syscall>("path_open", "iiiiiIIii"),
    wasi<no_such_syscall>("path_readlink", "iiiiii"),
    wasi<no_such_syscall>("path_remove_directory", "iii"),
    wasi<no_such_syscall>("path_rename", "iiiiii"),
    wasi<no_such_syscall>("path_symlink", "iiiii"),
    wasi<no_such_syscall>("path_unlink_file", "iii"),
    wasi<no_such_syscall>("poll_oneoff", "iiii"),
    wasi<exit_process>("proc_exit", "i", ""),
    wasi<no_such_syscall>("proc_raise", "i"),
    wasi<success>("sched_yield", ""),
    wasi<random_get>("random_get", "ii"),
    wasi<no_such_syscall>("sock_accept", "iii"),
    wasi<no_such_syscall>("sock_recv", "iiiiii"),
    wasi<no_such_syscall>("sock_send", "iiiii"),
    wasi<no_such_syscall>("sock_shutdown", "ii"),
};

}  // namespace

std::span<const HostFunction> wasi_functions() { return kWasiFunctions; }

}  // namespace jamsocket::wasm
