// jamsocket/wasm.hpp
//
// JAMSOCKET_WASM(Type): makes a service class a WebAssembly module. Nothing in a native build.
//
// One file of the module says it once, at namespace scope. The module then exports the Jamsocket
// interface, version 1, protocol 0 (docs/abi.md), with those callbacks that the class has. Build with
// `jamsocket build`, or with the flags in docs/abi.md: the two constants must be exported by the
// linker's --export.

#pragma once

#include <jamsocket/service.hpp>

#ifndef __wasm__
#define JAMSOCKET_WASM(Type)
#else

#include <new>

namespace jamsocket::detail {

#define JAM_DETAIL_EXPORT(name) __attribute__((export_name(name)))

/// Where the host puts short arguments, so that it need not ask for memory for each and free it again.
struct ArgumentBuffer {
  static constexpr std::size_t kBytes = 1024;
  const char* bytes;
  std::uint32_t length;

  alignas(16) static inline char memory[kBytes];
};

/// A module holds one room: its service and its id live as long as the instance.
template <class T>
struct GuestRoom {
  static_assert(check_service<T>());

  JAM_DETAIL_EXPORT("initialize") static void initialize(const char* id, std::size_t length) {
    auto* const kept = static_cast<char*>(std::malloc(length));
    if (kept != nullptr) {
      std::memcpy(kept, id, length);
      room_id = {kept, length};
    }
    Context context(room_id);
    service = new T(room_id, context);
  }

  static inline T* service = nullptr;
  static inline std::string_view room_id;
};

// One template a callback, empty unless the service has it: what is instantiated is exported.
template <class T>
struct GuestConnect {};
template <class T>
struct GuestDisconnect {};
template <class T>
struct GuestMessage {};
template <class T>
struct GuestBinary {};
template <class T>
struct GuestTimer {};
template <class T>
struct GuestState {};

template <class T>
  requires(HasConnect<T> || HasConnectWithInfo<T>)
struct GuestConnect<T> {
  JAM_DETAIL_EXPORT("connect") static void connect(std::uint32_t client) {
    Context context(GuestRoom<T>::room_id);
    const ClientInfo info;
    call_connect(*GuestRoom<T>::service, ClientId{client}, info, context);
  }
};

template <class T>
  requires HasDisconnect<T>
struct GuestDisconnect<T> {
  JAM_DETAIL_EXPORT("disconnect") static void disconnect(std::uint32_t client) {
    Context context(GuestRoom<T>::room_id);
    GuestRoom<T>::service->disconnect(ClientId{client}, context);
  }
};

template <class T>
  requires HasMessage<T>
struct GuestMessage<T> {
  JAM_DETAIL_EXPORT("message") static void message(std::uint32_t client, const char* text, std::size_t length) {
    Context context(GuestRoom<T>::room_id);
    GuestRoom<T>::service->message(ClientId{client}, std::string_view(text, length), context);
  }
};

template <class T>
  requires HasBinary<T>
struct GuestBinary<T> {
  JAM_DETAIL_EXPORT("binary") static void binary(std::uint32_t client, const std::byte* bytes, std::size_t length) {
    Context context(GuestRoom<T>::room_id);
    GuestRoom<T>::service->binary(ClientId{client}, Bytes(bytes, length), context);
  }
};

template <class T>
  requires HasTimer<T>
struct GuestTimer<T> {
  JAM_DETAIL_EXPORT("timer") static void timer() {
    Context context(GuestRoom<T>::room_id);
    GuestRoom<T>::service->timer(context);
  }
};

// How a room goes from one build of the module to another; see `service.upgrade`. An instance that saved is dropped:
// nothing frees what it wrote.
template <class T>
  requires(HasSave<T> && HasLoad<T>)
struct GuestState<T> {
  JAM_DETAIL_EXPORT("save") static std::uint64_t save() {
    auto* const writer = new Writer;
    GuestRoom<T>::service->save(*writer);
    const std::string& bytes = writer->bytes();
    return std::uint64_t{reinterpret_cast<std::uintptr_t>(bytes.data())} << 32U | bytes.size();
  }
  JAM_DETAIL_EXPORT("load") static void load(const char* bytes, std::size_t length) {
    Reader reader(std::string_view(bytes, length));
    GuestRoom<T>::service->load(reader);
    if (!reader.ok() || !reader.at_end()) {
      __builtin_trap();
    }
  }
};

#undef JAM_DETAIL_EXPORT

}  // namespace jamsocket::detail

#define JAMSOCKET_WASM(Type)                                                                                 \
  template struct jamsocket::detail::GuestRoom<Type>;                                                        \
  template struct jamsocket::detail::GuestConnect<Type>;                                                     \
  template struct jamsocket::detail::GuestDisconnect<Type>;                                                  \
  template struct jamsocket::detail::GuestMessage<Type>;                                                     \
  template struct jamsocket::detail::GuestBinary<Type>;                                                      \
  template struct jamsocket::detail::GuestTimer<Type>;                                                       \
  template struct jamsocket::detail::GuestState<Type>;                                                       \
  extern "C" {                                                                                               \
  extern const std::uint32_t JAMSOCKET_API_VERSION;                                                          \
  extern const std::uint32_t JAMSOCKET_API_PROTOCOL;                                                         \
  extern const jamsocket::detail::ArgumentBuffer JAMSOCKET_ARGUMENTS;                                        \
  __attribute__((used)) const std::uint32_t JAMSOCKET_API_VERSION = 1;                                       \
  __attribute__((used)) const std::uint32_t JAMSOCKET_API_PROTOCOL = 0;                                      \
  __attribute__((used)) const jamsocket::detail::ArgumentBuffer JAMSOCKET_ARGUMENTS = {                      \
      jamsocket::detail::ArgumentBuffer::memory, jamsocket::detail::ArgumentBuffer::kBytes};                 \
  __attribute__((export_name("jam_malloc"))) void* jam_malloc(std::size_t length) {                          \
    return length == 0 ? nullptr : std::malloc(length);                                                      \
  }                                                                                                          \
  __attribute__((export_name("jam_free"))) void jam_free(void* pointer, std::size_t) { std::free(pointer); } \
  }

#endif
