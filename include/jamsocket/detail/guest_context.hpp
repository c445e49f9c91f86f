// jamsocket/detail/guest_context.hpp
//
// ClientInfo and Context inside a WebAssembly module: each member calls its import, docs/abi.md.
//
// Not virtual, and each import in an inline function of its own: what a service does not use is not
// imported, so that its module also runs on a server that lacks it. The members and their meaning
// are those of detail/host_context.hpp: whoever changes one changes both.

#pragma once

#include <cstdlib>
#include <cstring>

#include <jamsocket/service.hpp>

namespace jamsocket {
namespace detail {

#define JAM_DETAIL_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
extern "C" {
JAM_DETAIL_IMPORT("env", "send_message")
void jam_import_send_message(std::int32_t recipient, const char* text, std::uint32_t length);
JAM_DETAIL_IMPORT("env", "send_binary")
void jam_import_send_binary(std::int32_t recipient, const void* bytes, std::uint32_t length);
JAM_DETAIL_IMPORT("env", "set_timer") void jam_import_set_timer(std::uint32_t delay_ms);
JAM_DETAIL_IMPORT("jamsocket", "close")
void jam_import_close(std::uint32_t client, std::uint32_t code, const char* reason, std::uint32_t length);
JAM_DETAIL_IMPORT("jamsocket", "refuse") void jam_import_refuse(const char* reason, std::uint32_t length);
JAM_DETAIL_IMPORT("jamsocket", "accept_subprotocol")
std::int32_t jam_import_accept_subprotocol(const char* name, std::uint32_t length);
JAM_DETAIL_IMPORT("jamsocket", "now") std::int64_t jam_import_now(void);
JAM_DETAIL_IMPORT("jamsocket", "random") void jam_import_random(void* bytes, std::uint32_t length);
JAM_DETAIL_IMPORT("jamsocket", "log")
void jam_import_log(std::uint32_t level, const char* text, std::uint32_t length);
JAM_DETAIL_IMPORT("jamsocket", "client_info")
std::int32_t jam_import_client_info(std::uint32_t field, const char* name, std::uint32_t name_length, char* out,
                                    std::uint32_t capacity);
}
#undef JAM_DETAIL_IMPORT

inline constexpr std::uint32_t kFieldQuery = 0;
inline constexpr std::uint32_t kFieldRemoteAddress = 1;
inline constexpr std::uint32_t kFieldHeader = 2;
inline constexpr std::uint32_t kFieldSubject = 3;
inline constexpr std::uint32_t kFieldClaim = 4;
inline constexpr std::size_t kRandomBytesPerCall = std::size_t{1} << 20U;

}  // namespace detail

class ClientInfo final {
 public:
  ClientInfo() = default;
  ClientInfo(const ClientInfo&) = delete;
  ClientInfo& operator=(const ClientInfo&) = delete;
  ~ClientInfo() {
    while (fetched_ != nullptr) {
      std::free(std::exchange(fetched_, fetched_->next));
    }
  }

  [[nodiscard]] std::string_view query() const { return fetch(detail::kFieldQuery, {}).value_or(std::string_view()); }
  [[nodiscard]] std::string_view remote_address() const {
    return fetch(detail::kFieldRemoteAddress, {}).value_or(std::string_view());
  }
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
    return fetch(detail::kFieldHeader, name);
  }
  [[nodiscard]] std::string_view subject() const {
    return fetch(detail::kFieldSubject, {}).value_or(std::string_view());
  }
  [[nodiscard]] std::optional<std::string_view> claim(std::string_view name) const {
    return fetch(detail::kFieldClaim, name);
  }

 private:
  // A value as the host gave it; its text follows. Kept until `connect` has returned, as the views
  // handed out point into it.
  struct Fetched {
    Fetched* next;
    [[nodiscard]] char* text() { return reinterpret_cast<char*>(this + 1); }
  };

  [[nodiscard]] std::optional<std::string_view> fetch(std::uint32_t field, std::string_view name) const {
    std::size_t capacity = 248;
    while (true) {
      auto* const value = static_cast<Fetched*>(std::malloc(sizeof(Fetched) + capacity));
      if (value == nullptr) {
        __builtin_trap();
      }
      value->next = std::exchange(fetched_, value);
      const std::int32_t length =
          detail::jam_import_client_info(field, name.data(), static_cast<std::uint32_t>(name.size()), value->text(),
                                         static_cast<std::uint32_t>(capacity));
      if (length < 0) {
        return std::nullopt;
      }
      if (static_cast<std::size_t>(length) <= capacity) {
        return std::string_view(value->text(), static_cast<std::size_t>(length));
      }
      capacity = static_cast<std::size_t>(length);
    }
  }

  mutable Fetched* fetched_ = nullptr;
};

class Context final {
 public:
  explicit Context(std::string_view room_id) : room_id_(room_id) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() = default;

  void send_message(Recipient recipient, std::string_view text) {
    detail::jam_import_send_message(recipient.code(), text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void send_binary(Recipient recipient, Bytes bytes) {
    detail::jam_import_send_binary(recipient.code(), bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  }
  void set_timer(std::uint32_t delay_ms) { detail::jam_import_set_timer(delay_ms); }
  void close(ClientId client, std::uint16_t code, std::string_view reason) {
    detail::jam_import_close(static_cast<std::uint32_t>(client), code, reason.data(),
                             static_cast<std::uint32_t>(reason.size()));
  }
  void refuse(std::string_view reason) {
    detail::jam_import_refuse(reason.data(), static_cast<std::uint32_t>(reason.size()));
  }
  bool accept_subprotocol(std::string_view name) {
    return detail::jam_import_accept_subprotocol(name.data(), static_cast<std::uint32_t>(name.size())) != 0;
  }
  [[nodiscard]] std::int64_t now() { return detail::jam_import_now(); }
  void random(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
      const auto part =
          bytes.first(bytes.size() < detail::kRandomBytesPerCall ? bytes.size() : detail::kRandomBytesPerCall);
      detail::jam_import_random(part.data(), static_cast<std::uint32_t>(part.size()));
      bytes = bytes.subspan(part.size());
    }
  }
  void log(LogLevel level, std::string_view text) {
    detail::jam_import_log(static_cast<std::uint32_t>(level), text.data(), static_cast<std::uint32_t>(text.size()));
  }
  [[nodiscard]] std::string_view room_id() { return room_id_; }

 private:
  std::string_view room_id_;
};

}  // namespace jamsocket
