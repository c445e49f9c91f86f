#include "wasm/host_functions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "wasm/stateroom_codec.hpp"

namespace jamsocket::wasm {
namespace {

using service::Outcome;

constexpr std::uint32_t kLogLineBytesMax = 16U << 10U;
constexpr std::uint32_t kHeaderNameBytesMax = 256;
constexpr std::uint32_t kRecipientMax = 0x7fffffffU;

void send_message(HostCall& call) {
  const std::string_view text = call.text(call.u32(1), call.u32(2), "send_message");
  if (!call.failed()) {
    const auto recipient = Recipient::from_code(static_cast<std::int32_t>(call.u32(0)));
    call.check(call.effects().send_text(recipient, text), "send_message");
  }
}

void send_binary(HostCall& call) {
  const std::string_view bytes = call.text(call.u32(1), call.u32(2), "send_binary");
  if (!call.failed()) {
    const auto recipient = Recipient::from_code(static_cast<std::int32_t>(call.u32(0)));
    call.check(call.effects().send_binary(recipient, bytes), "send_binary");
  }
}

void set_timer(HostCall& call) { call.effects().set_timer(call.u32(0)); }

void close_client(HostCall& call) {
  const std::string_view reason = call.text(call.u32(2), call.u32(3), "close");
  if (call.failed()) {
    return;
  }
  const std::uint32_t code = call.u32(1);
  const std::uint32_t client = call.u32(0);
  if (code > 0xffff) {
    return call.check(service::Effects::Push::Invalid, "close");
  }
  if (client == 0 || client > kRecipientMax) {
    return;  // Nobody's id, and as a recipient it would mean others.
  }
  call.check(call.effects().close(ClientId{client}, static_cast<std::uint16_t>(code), reason), "close");
}

void refuse(HostCall& call) {
  const std::string_view reason = call.text(call.u32(0), call.u32(1), "refuse");
  if (call.failed()) {
    return;
  }
  if (!call.state().in_connect) {
    return call.fail(Outcome::BadCall, "refuse was called outside connect");
  }
  call.check(call.effects().refuse(reason), "refuse");
}

// accept_subprotocol(ptr, len) -> whether it was accepted.
void accept_subprotocol(HostCall& call) {
  const std::string_view name = call.text(call.u32(0), call.u32(1), "accept_subprotocol");
  if (call.failed()) {
    return;
  }
  if (!call.state().in_connect) {
    return call.fail(Outcome::BadCall, "accept_subprotocol was called outside connect");
  }
  const service::ConnectInfo* info = call.state().connect_info;
  const bool accepted =
      info != nullptr && service::offers_subprotocol(*info, name) && call.effects().accept_subprotocol(name);
  call.result(accepted ? 1U : 0U);
}

void now(HostCall& call) { call.result_i64(call.state().time_ms); }

void random_bytes(HostCall& call) {
  const std::uint32_t length = call.u32(1);
  std::byte* const out = call.bytes(call.u32(0), length, "random");
  if (call.failed()) {
    return;
  }
  if (length > kRandomBytesMax) {
    return call.fail(Outcome::BadCall,
                     fmt::format("random: {} bytes were asked for; at most {} in one call", length, kRandomBytesMax));
  }
  fill_random(call.state(), {out, length});
}

void log_line(HostCall& call) {
  const std::uint32_t level = call.u32(0);
  const std::string_view text = call.text(call.u32(1), call.u32(2), "log");
  if (call.failed()) {
    return;
  }
  if (level > static_cast<std::uint32_t>(LogLevel::Error)) {
    return call.fail(Outcome::BadCall, fmt::format("log: there is no level {}; levels are 0 to 3", level));
  }
  call.effects().log(static_cast<LogLevel>(level), text.substr(0, kLogLineBytesMax));
}

std::optional<std::string_view> header_named(const service::ConnectInfo& info, std::string_view name) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const auto& [key, value] : info.headers) {
    if (std::ranges::equal(key, name, {}, {}, lower)) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> claim_named(const service::ConnectInfo& info, std::string_view name) {
  const auto found = std::ranges::find(info.claims, name, &std::pair<std::string, std::string>::first);
  return found != info.claims.end() ? std::optional<std::string_view>(found->second) : std::nullopt;
}

std::optional<std::string_view> client_field(const service::ConnectInfo& info, std::uint32_t field,
                                             std::string_view name) {
  switch (field) {
    case 0:
      return info.query;
    case 1:
      return info.remote_address;
    case 2:
      return header_named(info, name);
    case 3:
      return info.subject.empty() ? std::nullopt : std::optional<std::string_view>(info.subject);
    case 4:
      return claim_named(info, name);
    default:
      return std::nullopt;
  }
}

// client_info(field, name_ptr, name_len, out_ptr, out_cap) -> the value's length, or -1.
void client_info(HostCall& call) {
  constexpr auto kAbsent = static_cast<std::uint32_t>(-1);
  const std::string_view name = call.text(call.u32(1), call.u32(2), "client_info");
  if (call.failed()) {
    return;
  }
  const std::uint32_t capacity = call.u32(4);
  std::byte* const out = call.bytes(call.u32(3), capacity, "client_info");
  if (call.failed()) {
    return;
  }
  const service::ConnectInfo* info = call.state().in_connect ? call.state().connect_info : nullptr;
  std::optional<std::string_view> value;
  if (info != nullptr && name.size() <= kHeaderNameBytesMax) {
    value = client_field(*info, call.u32(0), name);
  }
  if (!value) {
    return call.result(kAbsent);
  }
  std::memcpy(out, value->data(), std::min<std::size_t>(capacity, value->size()));
  call.result(static_cast<std::uint32_t>(value->size()));
}

// stateroom_send(ptr, len): any of that ABI's effects.
void stateroom_send(HostCall& call) {
  constexpr std::string_view kName = "stateroom_send";
  const std::string_view bytes = call.text(call.u32(0), call.u32(1), kName);
  if (call.failed()) {
    return;
  }
  const auto command = stateroom::decode_command(bytes);
  if (!command) {
    return call.fail(Outcome::BadCall,
                     fmt::format("{}: {} bytes that are not a message of the interface", kName, bytes.size()));
  }
  if (command->kind == stateroom::Command::Kind::SetTimer) {
    return command->delay_ms == 0 ? call.effects().set_timer_at_once() : call.effects().set_timer(command->delay_ms);
  }
  if (const auto recipient = command->resolved()) {
    call.check(command->is_text ? call.effects().send_text(*recipient, command->payload)
                                : call.effects().send_binary(*recipient, command->payload),
               kName);
  }
}

// The text of an AssemblyScript string: UTF-16, its length in bytes four bytes before it.
std::string assembly_script_text(CallState& state, std::uint32_t pointer) {
  constexpr std::uint32_t kUnitsMax = 200;
  const std::byte* const size_at = pointer >= 4 ? state.memory.range(pointer - 4, 4) : nullptr;
  if (size_at == nullptr) {
    return {};
  }
  std::uint32_t size_bytes = 0;
  std::memcpy(&size_bytes, size_at, 4);
  const std::uint32_t units = std::min(size_bytes / 2, kUnitsMax);
  const std::byte* const at = state.memory.range(pointer, units * 2);
  std::string text;
  for (std::uint32_t i = 0; at != nullptr && i < units; ++i) {
    std::uint16_t unit = 0;
    std::memcpy(&unit, at + std::size_t{i} * 2, 2);
    // What compilers put there is ASCII; a question mark stands for the rest.
    text += unit >= 0x20 && unit < 0x7f ? static_cast<char>(unit) : '?';
  }
  return text;
}

// abort(message, file, line, column) of AssemblyScript's runtime.
void assembly_script_abort(HostCall& call) {
  const std::string message = assembly_script_text(call.state(), call.u32(0));
  const std::string file = assembly_script_text(call.state(), call.u32(1));
  call.fail(Outcome::Trap, fmt::format("the guest aborted: {} (at {}:{}:{})", message.empty() ? "no message" : message,
                                       file.empty() ? "unknown" : file, call.u32(2), call.u32(3)));
}

constexpr std::array kAbiFunctions{
    HostFunction{"env", "send_message", "iii", "", host_callback<send_message>},
    HostFunction{"env", "send_binary", "iii", "", host_callback<send_binary>},
    HostFunction{"env", "set_timer", "i", "", host_callback<set_timer>},
    HostFunction{"env", "stateroom_send", "ii", "", host_callback<stateroom_send>},
    HostFunction{"env", "abort", "iiii", "", host_callback<assembly_script_abort>},
    HostFunction{"jamsocket", "close", "iiii", "", host_callback<close_client>},
    HostFunction{"jamsocket", "refuse", "ii", "", host_callback<refuse>},
    HostFunction{"jamsocket", "accept_subprotocol", "ii", "i", host_callback<accept_subprotocol>},
    HostFunction{"jamsocket", "now", "", "I", host_callback<now>},
    HostFunction{"jamsocket", "random", "ii", "", host_callback<random_bytes>},
    HostFunction{"jamsocket", "log", "iii", "", host_callback<log_line>},
    HostFunction{"jamsocket", "client_info", "iiiii", "i", host_callback<client_info>},
};

ValueType value_type_of(char letter) {
  return letter == 'I' ? ValueType::I64 : letter == 'd' ? ValueType::F64 : ValueType::I32;
}

}  // namespace

std::span<const HostFunction> abi_functions() { return kAbiFunctions; }

const HostFunction* find_host_function(std::string_view module, std::string_view name) {
  for (const auto functions : {abi_functions(), wasi_functions()}) {
    for (const HostFunction& function : functions) {
      if (function.module == module && function.name == name) {
        return &function;
      }
    }
  }
  return nullptr;
}

FunctionType type_of(const HostFunction& function) {
  FunctionType type;
  std::ranges::transform(function.parameters, std::back_inserter(type.parameters), value_type_of);
  std::ranges::transform(function.results, std::back_inserter(type.results), value_type_of);
  return type;
}

std::byte* HostCall::bytes(std::uint32_t pointer, std::uint32_t length, std::string_view function) {
  std::byte* const at = state_.memory.range(pointer, length);
  if (at == nullptr) [[unlikely]] {
    fail(Outcome::BadCall, fmt::format("{}: {} bytes at {} are outside the memory of {} bytes", function, length,
                                       pointer, state_.memory.size_bytes()));
  }
  return at;
}

std::string_view HostCall::text(std::uint32_t pointer, std::uint32_t length, std::string_view function) {
  const std::byte* const at = bytes(pointer, length, function);
  return at != nullptr ? std::string_view(reinterpret_cast<const char*>(at), length) : std::string_view{};
}

void HostCall::fail(service::Outcome outcome, std::string reason) {
  constexpr std::string_view kMessage = "ended by the host";
  if (trap_ == nullptr) {
    state_.failed_with = outcome;
    state_.failed_because = std::move(reason);
    trap_.reset(wasmtime_trap_new(kMessage.data(), kMessage.size()));
  }
}

void HostCall::check(service::Effects::Push pushed, std::string_view function) {
  using Push = service::Effects::Push;
  switch (pushed) {
    case Push::Done:
      return;
    case Push::OverLimit:
      state_.failed_limit = state_.effects->limit_passed();
      return fail(Outcome::EffectLimit, fmt::format("{}: over the limit of sends or bytes of one event", function));
    case Push::NotUtf8:
      return fail(Outcome::BadCall, fmt::format("{}: the text is not valid UTF-8", function));
    case Push::Invalid:
      return fail(Outcome::BadCall,
                  fmt::format("{}: a code other than 1000 and 3000 to 4999, or a reason that is too long", function));
  }
}

void HostCall::attach_memory(wasmtime_caller_t* caller) {
  constexpr std::string_view kName = "memory";
  wasmtime_extern_t item;
  if (wasmtime_caller_export_get(caller, kName.data(), kName.size(), &item)) {
    if (item.kind == WASMTIME_EXTERN_MEMORY) {
      state_.memory.attach(wasmtime_caller_context(caller), item.of.memory);
    }
    wasmtime_extern_delete(&item);
  }
}

void fill_random(CallState& state, std::span<std::byte> out) {
  if (!state.random) {
    state.random.emplace(state.seed, state.event_number);
  }
  state.random->fill(out);
}

}  // namespace jamsocket::wasm
