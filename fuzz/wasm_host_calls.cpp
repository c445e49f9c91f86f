// fuzz/wasm_host_calls.cpp
//
// Promise: whatever a guest passes to host functions, the call ends with an outcome and, unless it is Done, a
// sentence; nothing outside the guest's memory is read or written, and effects stay within their limits.

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.hpp"
#include "wasm/engine.hpp"
#include "wasm/module_service.hpp"

namespace {

namespace service = jamsocket::service;
using jamsocket::wasm::Engine;

std::unique_ptr<service::Service> make_puppets(const Engine& engine) {
  std::ifstream file(JAMSOCKET_GUESTS_DIR "/puppet.wasm", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  auto module = engine.load_bytes(bytes, {});
  JAM_CHECK(module.has_value());
  return jamsocket::wasm::make_module_service("puppet", *module);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Engine engine;
  static const std::unique_ptr<service::Service> puppets = make_puppets(engine);
  service::EffectLimits limits;
  limits.send_bytes_max = std::size_t{1} << 20U;
  service::Effects effects(limits);
  auto room = puppets->create({.room_id = "fuzz"}, effects);
  JAM_CHECK(room.has_value());
  const service::Outcome outcome = (*room)->handle({.kind = service::EventKind::Binary,
                                                    .client = jamsocket::ClientId{1},
                                                    .payload = {reinterpret_cast<const char*>(data), size},
                                                    .number = 1},
                                                   effects);
  JAM_CHECK(outcome == service::Outcome::Done || !(*room)->fault().reason.empty());
  std::size_t sent = 0;
  for (const service::Effect& effect : effects.list()) {
    const bool is_send = effect.kind == service::EffectKind::SendText || effect.kind == service::EffectKind::SendBinary;
    sent += is_send ? effects.bytes_of(effect).size() : 0;
  }
  JAM_CHECK(sent <= limits.send_bytes_max);
  return 0;
}
