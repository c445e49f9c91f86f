// service/service.hpp
//
// What a service is to the host, native or module: a Service makes instances, an instance handles
// one event at a time.
//
// Thread: create and handle run on one thread at a time, not always the same one (a slow call may
// finish on another thread than it began its predecessor on).

#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.hpp"
#include "base/result.hpp"
#include "service/effects.hpp"
#include "service/event.hpp"

namespace jamsocket::service {

/// How a call ended. Everything but Done means: the instance is broken, drop it, never call it again.
enum class Outcome : std::uint8_t {
  Done,
  Trap,         ///< The guest trapped, or an exception left a native service.
  CpuLimit,     ///< Ran over its budget of CPU or wall time.
  MemoryLimit,  ///< Its memory could not grow, and it then trapped.
  EffectLimit,  ///< Too many sends, bytes: limits in EffectLimits.
  BadCall,      ///< A host call with arguments that lie: a range outside memory, text that is not UTF-8.
};

[[nodiscard]] std::string_view to_string(Outcome outcome);

/// Why a call did not end well.
struct Fault {
  Outcome outcome = Outcome::Trap;
  std::string reason;              ///< One sentence.
  std::string backtrace;           ///< The guest's, a function a line, outermost last; may be empty.
  std::optional<Counter> limit{};  ///< Which limit it ran over, if it was one.
};

class ServiceInstance {
 public:
  virtual ~ServiceInstance() = default;
  /// Runs one event; what it asks for is appended to `effects`, which the caller passes in empty.
  virtual Outcome handle(const Event& event, Effects& effects) = 0;
  /// After an outcome other than Done: why. Valid until the instance is destroyed.
  [[nodiscard]] virtual const Fault& fault() const = 0;
  /// Appends all of its state to `state`, for `Service::restore`. Between events only, and only where the
  /// service has no obstacles.
  /// @return Done, or why not; the instance goes on either way.
  [[nodiscard]] virtual Outcome capture(std::string& /*state*/) const { return Outcome::Trap; }
  /// What the code itself says of the room, for newer code to take in by `Service::migrate`. `start` as it was then,
  /// but for its monitor. Not to be called after it failed.
  [[nodiscard]] virtual std::expected<std::string, Fault> save(const RoomStart& /*start*/) {
    return std::unexpected(Fault{Outcome::Trap, "the service does not say how its rooms are saved", {}});
  }
};

/// The code that made rooms, of whatever service, as it was kept beside them. Any thread.
class Versions {
 public:
  virtual ~Versions() = default;
  [[nodiscard]] virtual bool has(std::string_view version) const = 0;
  /// May take as long as a disk: within calls only, which loops do not wait for.
  /// @error NotFound, Malformed, Io  it is not there, or cannot be read.
  [[nodiscard]] virtual Result<std::string> code(std::string_view version) = 0;
};

class Service {
 public:
  virtual ~Service() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// A fresh room: runs the constructor (or `initialize`), whose effects go to `effects`.
  /// @return the instance, or why it could not start (the guest may have run, and trapped).
  [[nodiscard]] virtual std::expected<std::unique_ptr<ServiceInstance>, Fault> create(const RoomStart& start,
                                                                                      Effects& effects) = 0;
  /// A room as it was when `state` was captured; `start` as it was then. Its constructor or its start
  /// function may run, with no effect.
  [[nodiscard]] virtual std::expected<std::unique_ptr<ServiceInstance>, Fault> restore(const RoomStart& /*start*/,
                                                                                       std::string_view /*state*/) {
    return std::unexpected(Fault{Outcome::Trap, "the service cannot put a room back", {}});
  }
  /// A room of older code by the newest: begun afresh, and handed what `ServiceInstance::save` of the older code
  /// said. Nothing that it asks for meanwhile takes effect.
  [[nodiscard]] virtual std::expected<std::unique_ptr<ServiceInstance>, Fault> migrate(const RoomStart& /*start*/,
                                                                                       std::string_view /*saved*/) {
    return std::unexpected(Fault{Outcome::Trap, "the service takes no rooms of older code in", {}});
  }
  /// Whether rooms of that code can be handed to the newest one.
  [[nodiscard]] virtual bool can_migrate(std::string_view /*from*/) const { return false; }
  /// Why its rooms cannot be captured and restored, a sentence each; none: they can.
  [[nodiscard]] virtual std::vector<std::string> obstacles_to_capture() const {
    return {"it does not say how its rooms are saved"};
  }
  /// What all its rooms have of memory for their state, in bytes; 0: not known. Any thread.
  [[nodiscard]] virtual std::uint64_t room_memory_bytes() const { return 0; }
  /// Names the code: a room that was captured under another version may mean nothing to this one.
  [[nodiscard]] virtual std::string_view version() const { return {}; }
  /// The code itself, to be kept beside the rooms it made; empty: it cannot be.
  [[nodiscard]] virtual std::string_view code() const { return {}; }
  /// Where other code is, for the rooms it made; it must outlive the service. Before any room is made.
  virtual void use_versions(Versions& /*kept*/) {}
  /// Whether rooms that this code made can be brought back. Any thread.
  [[nodiscard]] virtual bool has_version(std::string_view wanted) const { return wanted == version(); }
  /// Whether the first room of this code, which `has_version` has, waits for a disk and a compiler. Any thread.
  [[nodiscard]] virtual bool must_load(std::string_view /*wanted*/) const { return false; }
};

}  // namespace jamsocket::service
