#include "wasm/stateroom_abi.hpp"

#include "wasm/stateroom_codec.hpp"

namespace jamsocket::wasm {
namespace {

using service::Event;
using service::EventKind;
using service::Outcome;
using stateroom::EventHead;

EventHead head_of(const Event& event) {
  switch (event.kind) {
    case EventKind::Connect:
      return EventHead::connect(event.client);
    case EventKind::Disconnect:
      return EventHead::disconnect(event.client);
    case EventKind::Text:
      return EventHead::text(event.client, event.payload.size());
    case EventKind::Binary:
      return EventHead::bytes(event.client, event.payload.size());
    case EventKind::Timer:
      break;
  }
  return EventHead::timer();
}

class StateroomInstance final : public service::ServiceInstance {
 public:
  explicit StateroomInstance(std::unique_ptr<Guest> guest)
      : guest_(std::move(guest)),
        allocate_(guest_->function("stateroom_malloc").value()),
        free_(guest_->function("stateroom_free").value()),
        receive_(guest_->function("stateroom_recv").value()) {}

  [[nodiscard]] bool initialize(const service::RoomStart& start, service::Effects& effects) {
    guest_->begin_start(start, effects);
    const bool done = deliver(EventHead::init(), {});
    guest_->end_event();
    return done;
  }

  Outcome handle(const Event& event, service::Effects& effects) override {
    guest_->begin_event(event, effects);
    const bool done = deliver(head_of(event), event.payload);
    guest_->end_event();
    return done ? Outcome::Done : guest_->fault().outcome;
  }

  [[nodiscard]] const service::Fault& fault() const override { return guest_->fault(); }

  [[nodiscard]] Outcome capture(std::string& state) const override {
    guest_->capture(state);
    return Outcome::Done;
  }

 private:
  bool deliver(const EventHead& head, std::string_view payload) {
    const auto pointer = guest_->copy_in(allocate_, head.view(), payload);
    const auto length = static_cast<std::uint32_t>(head.view().size() + payload.size());
    return pointer && guest_->call(receive_, *pointer, length) && guest_->call(free_, *pointer, length);
  }

  std::unique_ptr<Guest> guest_;
  wasmtime_func_t allocate_;
  wasmtime_func_t free_;
  wasmtime_func_t receive_;
};

}  // namespace

std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> start_stateroom_room(
    std::unique_ptr<Guest> guest, const service::RoomStart& start, service::Effects& effects) {
  auto instance = std::make_unique<StateroomInstance>(std::move(guest));
  if (!instance->initialize(start, effects)) {
    return std::unexpected(instance->fault());
  }
  return instance;
}

std::unique_ptr<service::ServiceInstance> resume_stateroom_room(std::unique_ptr<Guest> guest) {
  return std::make_unique<StateroomInstance>(std::move(guest));
}

}  // namespace jamsocket::wasm
