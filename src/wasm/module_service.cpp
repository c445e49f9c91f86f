#include "wasm/module_service.hpp"

#include <functional>
#include <map>
#include <utility>

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
    JAM_CHECK(limits_.table_elements_max <= module_->engine().options().table_elements_max);
  }

  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> create(
      const service::RoomStart& start, service::Effects& effects) override {
    const auto module = module_of(start.version);
    auto guest = JAM_TRY(Guest::instantiate(module, limits_, start, effects));
    return module->facts().abi == Abi::Stateroom ? start_stateroom_room(std::move(guest), start, effects)
                                                 : start_jamsocket_room(std::move(guest), start, effects);
  }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> restore(
      const service::RoomStart& start, std::string_view state) override {
    const auto module = module_of(start.version);
    auto guest = JAM_TRY(Guest::restore(module, limits_, start, state));
    return module->facts().abi == Abi::Stateroom ? resume_stateroom_room(std::move(guest))
                                                 : resume_jamsocket_room(std::move(guest));
  }

  [[nodiscard]] std::uint64_t room_memory_bytes() const override {
    std::uint64_t bytes = module_->live_memory_bytes();
    for (const auto& [hash, module] : older_) {
      bytes += module->live_memory_bytes();
    }
    return bytes;
  }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> migrate(
      const service::RoomStart& start, std::string_view saved) override {
    JAM_CHECK(module_->facts().can_load);
    service::Effects nobody_hears;
    auto guest = JAM_TRY(Guest::instantiate(module_, limits_, start, nobody_hears));
    return migrate_jamsocket_room(std::move(guest), start, saved);
  }
  [[nodiscard]] bool can_migrate(std::string_view from) const override {
    return module_->facts().can_load && has_version(from) && module_of(from)->facts().can_save;
  }

  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override {
    return module_->facts().obstacles_to_capture;
  }
  [[nodiscard]] std::string_view version() const override { return module_->hash(); }
  [[nodiscard]] std::string_view code() const override { return module_->bytes(); }

  [[nodiscard]] Result<void> add_version(std::string_view code) override {
    // Compiled once, and rarely: not worth a place in the cache.
    auto module = JAM_TRY(module_->engine().load_bytes(code, {}));
    std::string hash = module->hash();
    older_.emplace(std::move(hash), std::move(module));
    return {};
  }
  [[nodiscard]] bool has_version(std::string_view wanted) const override {
    return wanted == module_->hash() || older_.contains(wanted);
  }

 private:
  [[nodiscard]] const std::shared_ptr<const Module>& module_of(std::string_view version) const {
    if (version.empty() || version == module_->hash()) {
      return module_;
    }
    const auto found = older_.find(version);
    JAM_CHECK(found != older_.end());  // Whoever asks has asked has_version.
    return found->second;
  }

  std::string name_;
  std::shared_ptr<const Module> module_;
  ModuleLimits limits_;
  std::map<std::string, std::shared_ptr<const Module>, std::less<>> older_;  ///< By hash.
};

}  // namespace

std::unique_ptr<service::Service> make_module_service(std::string name, std::shared_ptr<const Module> module,
                                                      const ModuleLimits& limits) {
  return std::make_unique<ModuleService>(std::move(name), std::move(module), limits);
}

}  // namespace jamsocket::wasm
