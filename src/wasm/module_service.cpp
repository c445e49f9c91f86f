#include "wasm/module_service.hpp"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "wasm/engine.hpp"
#include "wasm/guest.hpp"
#include "wasm/jamsocket_abi.hpp"
#include "wasm/stateroom_abi.hpp"

namespace jamsocket::wasm {
namespace {

using ModulePtr = std::shared_ptr<const Module>;

// Of one service, besides what is served: beyond, what no room has goes, and is loaded again when one comes back.
constexpr std::size_t kOlderLoadedMost = 16;

class ModuleService final : public service::Service {
 public:
  ModuleService(std::string name, ModulePtr module, const ModuleLimits& limits, OlderCode older_code)
      : name_(std::move(name)), module_(std::move(module)), limits_(limits), older_code_(std::move(older_code)) {
    JAM_CHECK(limits_.memory_bytes_max <= module_->engine().options().memory_bytes_max);
    JAM_CHECK(limits_.table_elements_max <= module_->engine().options().table_elements_max);
  }

  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> create(
      const service::RoomStart& start, service::Effects& effects) override {
    const ModulePtr module = JAM_TRY(module_of(start.version));
    auto guest = JAM_TRY(Guest::instantiate(module, limits_, start, effects));
    return module->facts().abi == Abi::Stateroom ? start_stateroom_room(std::move(guest), start, effects)
                                                 : start_jamsocket_room(std::move(guest), start, effects);
  }

  [[nodiscard]] std::expected<std::unique_ptr<service::ServiceInstance>, service::Fault> restore(
      const service::RoomStart& start, std::string_view state) override {
    const ModulePtr module = JAM_TRY(module_of(start.version));
    auto guest = JAM_TRY(Guest::restore(module, limits_, start, state));
    return module->facts().abi == Abi::Stateroom ? resume_stateroom_room(std::move(guest))
                                                 : resume_jamsocket_room(std::move(guest));
  }

  [[nodiscard]] std::uint64_t room_memory_bytes() const override {
    std::uint64_t bytes = module_->live_memory_bytes();
    const std::scoped_lock lock(mutex_);
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
    const auto old = module_->facts().can_load && has_version(from) ? module_of(from) : nullptr;
    return old && *old != nullptr && (*old)->facts().can_save;
  }

  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override {
    return module_->facts().obstacles_to_capture;
  }
  [[nodiscard]] std::string_view version() const override { return module_->hash(); }
  [[nodiscard]] std::string_view code() const override { return module_->bytes(); }

  void use_versions(service::Versions& kept) override { kept_ = &kept; }
  [[nodiscard]] bool has_version(std::string_view wanted) const override {
    return wanted == module_->hash() || (kept_ != nullptr && kept_->has(wanted));
  }
  [[nodiscard]] bool must_load(std::string_view wanted) const override {
    const std::scoped_lock lock(mutex_);
    return wanted != module_->hash() && !older_.contains(wanted);
  }

 private:
  // Older code is loaded when the first of its rooms comes back: there may be any number of it, and most of it is
  // never needed again. Who wants the same meanwhile waits for it: a thousand rooms come back at once after a restart,
  // and each copy has to be read by the store, and perhaps compiled.
  [[nodiscard]] std::expected<ModulePtr, service::Fault> module_of(std::string_view version) const {
    if (version.empty() || version == module_->hash()) {
      return module_;
    }
    if (ModulePtr loaded = find_older(version)) {
      return loaded;
    }
    const std::scoped_lock alone(loading(version));
    if (ModulePtr loaded = find_older(version)) {
      return loaded;  // By whoever was before.
    }
    const auto module = load_older(version);
    if (!module) {
      return std::unexpected(
          service::Fault{service::Outcome::Trap,
                         fmt::format("the code that made it cannot be loaded: {}", module.error().message),
                         {}});
    }
    drop_unused();
    const std::scoped_lock lock(mutex_);
    return older_.emplace(std::string(version), *module).first->second;
  }

  // Code that no room has any more, when there is much of it: each is some megabytes.
  void drop_unused() const {
    std::vector<ModulePtr> unused;  // They go without the lock: who asks under it may be a loop.
    const std::scoped_lock lock(mutex_);
    if (older_.size() < kOlderLoadedMost) {
      return;
    }
    std::erase_if(older_, [&unused](auto& entry) {
      const bool is_unused = entry.second.use_count() == 1;
      if (is_unused) {
        unused.push_back(std::move(entry.second));
      }
      return is_unused;
    });
  }

  // Null: it was not loaded yet.
  [[nodiscard]] ModulePtr find_older(std::string_view version) const {
    const std::scoped_lock lock(mutex_);
    const auto found = older_.find(version);
    return found != older_.end() ? found->second : nullptr;
  }

  [[nodiscard]] std::mutex& loading(std::string_view version) const {
    const std::scoped_lock lock(mutex_);
    const auto found = loading_.find(version);
    return found != loading_.end() ? found->second : loading_.try_emplace(std::string(version)).first->second;
  }

  [[nodiscard]] Result<ModulePtr> load_older(std::string_view version) const {
    JAM_CHECK(kept_ != nullptr);  // Whoever asks has asked has_version.
    const std::string code = JAM_TRY(kept_->code(version));
    auto module = JAM_TRY(module_->engine().load_bytes(code, older_code_.cache_dir, older_code_.compiler.get()));
    if (module->hash() != version) {
      return fail(ErrorCode::Malformed, "what is kept under its hash is another module");
    }
    return module;
  }

  std::string name_;
  ModulePtr module_;
  ModuleLimits limits_;
  OlderCode older_code_;
  service::Versions* kept_ = nullptr;
  mutable std::mutex mutex_;                                        // Never held while anything is loaded.
  mutable std::map<std::string, ModulePtr, std::less<>> older_;     ///< By hash; those that were needed so far.
  mutable std::map<std::string, std::mutex, std::less<>> loading_;  ///< The same; each held while that one is loaded.
};

}  // namespace

std::unique_ptr<service::Service> make_module_service(std::string name, std::shared_ptr<const Module> module,
                                                      const ModuleLimits& limits, OlderCode older_code) {
  return std::make_unique<ModuleService>(std::move(name), std::move(module), limits, std::move(older_code));
}

}  // namespace jamsocket::wasm
