#include "wasm/module_service.hpp"

#include "base/check.hpp"
#include "wasm/engine.hpp"
#include "wasm/guest.hpp"
#include "wasm/jamsocket_abi.hpp"
#include "wasm/stateroom_abi.hpp"

namespace jamsocket::wasm {
namespace {

class ModuleService final : public service::Service {
 public:
  ModuleService(std::string name, std::shared_ptr<const Module> module, const ModuleLimits& limits)
      : name_(std::move(name)), module_(std::move(module)), limits_(limits) {
    JAM_CHECK(limits_.memory_bytes_max <= module_->engine().options().memory_bytes_max);
  }

  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> create(
      const service::RoomStart& start, service::Effects& effects) override {
    auto guest = JAM_TRY(Guest::instantiate(module_, limits_, start, effects));
    return module_->facts().abi == Abi::Stateroom ? start_stateroom_room(std::move(guest), start, effects)
                                                  : start_jamsocket_room(std::move(guest), start, effects);
  }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> restore(
      const service::RoomStart& start, std::string_view state) override {
    auto guest = JAM_TRY(Guest::restore(module_, limits_, start, state));
    return module_->facts().abi == Abi::Stateroom ? resume_stateroom_room(std::move(guest))
                                                  : resume_jamsocket_room(std::move(guest));
  }

  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override {
    return module_->facts().obstacles_to_capture;
  }
  [[nodiscard]] std::string_view version() const override { return module_->hash(); }

 private:
  std::string name_;
  std::shared_ptr<const Module> module_;
  ModuleLimits limits_;
};

}  // namespace

std::unique_ptr<service::Service> make_module_service(std::string name, std::shared_ptr<const Module> module,
                                                      const ModuleLimits& limits) {
  return std::make_unique<ModuleService>(std::move(name), std::move(module), limits);
}

}  // namespace jamsocket::wasm
