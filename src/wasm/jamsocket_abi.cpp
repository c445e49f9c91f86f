#include "wasm/jamsocket_abi.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/check.hpp"

namespace jamsocket::wasm {
namespace {

using service::Event;
using service::EventKind;
using service::Outcome;

class JamsocketInstance final : public service::ServiceInstance {
 public:
  explicit JamsocketInstance(std::unique_ptr<Guest> guest)
      : guest_(std::move(guest)),
        allocate_(guest_->function("jam_malloc").value()),
        free_(guest_->function("jam_free").value()),
        connect_(guest_->function("connect")),
        disconnect_(guest_->function("disconnect")),
        message_(guest_->function("message")),
        binary_(guest_->function("binary")),
        timer_(guest_->function("timer")),
        arguments_(guest_->argument_buffer()),
        arguments_at_(guest_->memory().base() + arguments_.address) {}

  [[nodiscard]] bool initialize(const service::RoomStart& start, service::Effects& effects) {
    guest_->begin_start(start, effects);
    const bool done = deliver(guest_->function("initialize").value(), start.room_id);
    guest_->end_event();
    return done;
  }

  [[nodiscard]] bool load(const service::RoomStart& start, std::string_view saved) {
    service::Effects nobody_hears;
    guest_->begin_start(start, nobody_hears);
    const bool done = deliver(guest_->function("load").value(), saved);
    guest_->end_event();
    return done;
  }

  [[nodiscard]] std::expected<std::string, service::Fault> save(const service::RoomStart& start) override {
    const auto function = guest_->function("save");
    if (!function) {
      return std::unexpected(service::Fault{Outcome::Trap, "the module does not export save", {}});
    }
    service::Effects nobody_hears;
    guest_->begin_start(start, nobody_hears);
    const auto range = guest_->call_for_u64(*function);
    guest_->end_event();
    if (!range) {
      return std::unexpected(guest_->fault());
    }
    const auto pointer = static_cast<std::uint32_t>(*range >> 32U);
    const auto length = static_cast<std::uint32_t>(*range);
    const std::byte* const bytes = guest_->memory().range(pointer, length);
    if (bytes == nullptr) {
      guest_->fail(Outcome::BadCall, fmt::format("save answered {} bytes at {}: not in its memory of {} bytes", length,
                                                 pointer, guest_->memory().size_bytes()));
      return std::unexpected(guest_->fault());
    }
    return std::string(reinterpret_cast<const char*>(bytes), length);
  }

  Outcome handle(const Event& event, service::Effects& effects) override {
    guest_->begin_event(event, effects);
    const bool done = dispatch(event);
    guest_->end_event();
    return done ? Outcome::Done : guest_->fault().outcome;
  }

  [[nodiscard]] const service::Fault& fault() const override { return guest_->fault(); }

  [[nodiscard]] Outcome capture(std::string& state) const override {
    guest_->capture(state);
    return Outcome::Done;
  }

 private:
  bool dispatch(const Event& event) {
    const auto client = static_cast<std::uint32_t>(event.client);
    switch (event.kind) {
      case EventKind::Connect:
        return !connect_ || guest_->call(*connect_, client);
      case EventKind::Disconnect:
        return !disconnect_ || guest_->call(*disconnect_, client);
      case EventKind::Text:
        return !message_ || deliver(*message_, event.payload, client);
      case EventKind::Binary:
        return !binary_ || deliver(*binary_, event.payload, client);
      case EventKind::Timer:
        return !timer_ || guest_->call(*timer_);
    }
    return true;
  }

  // function(client..., pointer, length) with the bytes in the guest's buffer for them, or in memory of its
  // allocator's, freed afterwards: two more calls, which cost more than a short message itself.
  template <class... Client>
  bool deliver(const wasmtime_func_t& function, std::string_view bytes, Client... client) {
    if (!bytes.empty() && bytes.size() <= arguments_.length) [[likely]] {
      std::memcpy(arguments_at_, bytes.data(), bytes.size());
      return guest_->call(function, client..., arguments_.address, static_cast<std::uint32_t>(bytes.size()));
    }
    const auto pointer = guest_->copy_in(allocate_, bytes);
    const auto length = static_cast<std::uint32_t>(bytes.size());
    return pointer && guest_->call(function, client..., *pointer, length) &&
           (bytes.empty() || guest_->call(free_, *pointer, length));
  }

  std::unique_ptr<Guest> guest_;
  wasmtime_func_t allocate_;
  wasmtime_func_t free_;
  std::optional<wasmtime_func_t> connect_;
  std::optional<wasmtime_func_t> disconnect_;
  std::optional<wasmtime_func_t> message_;
  std::optional<wasmtime_func_t> binary_;
  std::optional<wasmtime_func_t> timer_;
  GuestRange arguments_;
  std::byte* arguments_at_;  // A memory's base never moves.
};

}  // namespace

std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> start_jamsocket_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, service::Effects& effects) {
  auto instance = std::make_unique<JamsocketInstance>(std::move(guest));
  if (!instance->initialize(start, effects)) {
    return std::unexpected(instance->fault());
  }
  return instance;
}

std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> migrate_jamsocket_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, std::string_view saved) {
  auto instance = std::make_unique<JamsocketInstance>(std::move(guest));
  service::Effects nobody_hears;
  if (!instance->initialize(start, nobody_hears) || !instance->load(start, saved)) {
    return std::unexpected(instance->fault());
  }
  return instance;
}

std::unique_ptr<service::ServiceInstance> resume_jamsocket_room(std::unique_ptr<Guest> guest) {
  return std::make_unique<JamsocketInstance>(std::move(guest));
}

}  // namespace jamsocket::wasm
