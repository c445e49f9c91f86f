#include "service/native.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "service/random.hpp"

namespace jamsocket::service {
namespace {

// What a native callback did wrong, carried past its frames by the exception it gets.
struct CallFailed {
  Outcome outcome;
  std::string reason;
  std::optional<Counter> limit{};
};

std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

class EventClientInfo final : public ClientInfo {
 public:
  explicit EventClientInfo(const ConnectInfo& info) : info_(info) {}
  [[nodiscard]] std::string_view query() const override { return info_.query; }
  [[nodiscard]] std::string_view remote_address() const override { return info_.remote_address; }
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const override {
    for (const auto& [key, value] : info_.headers) {
      if (same_ignoring_case(key, name)) {
        return value;
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] std::string_view subject() const override { return info_.subject; }
  [[nodiscard]] std::optional<std::string_view> claim(std::string_view name) const override {
    const auto found = std::ranges::find(info_.claims, name, &std::pair<std::string, std::string>::first);
    return found != info_.claims.end() ? std::optional<std::string_view>(found->second) : std::nullopt;
  }

 private:
  const ConnectInfo& info_;
};

class EventContext final : public Context {
 public:
  /// All of it must outlive the context.
  EventContext(const std::string& room_id, const Event& event, const Seed& seed, Effects& effects)
      : room_id_(room_id), event_(event), seed_(seed), effects_(effects) {}

  void send_message(Recipient recipient, std::string_view text) override {
    check(effects_.send_text(recipient, text), "send_message");
  }
  void send_binary(Recipient recipient, Bytes bytes) override {
    check(effects_.send_binary(recipient, as_text(bytes)), "send_binary");
  }
  void set_timer(std::uint32_t delay_ms) override { effects_.set_timer(delay_ms); }
  void close(ClientId client, std::uint16_t code, std::string_view reason) override {
    check(effects_.close(client, code, reason), "close");
  }
  void refuse(std::string_view reason) override {
    if (event_.kind != EventKind::Connect) {
      throw CallFailed{Outcome::BadCall, "refuse was called outside connect"};
    }
    check(effects_.refuse(reason), "refuse");
  }
  bool accept_subprotocol(std::string_view name) override {
    if (event_.kind != EventKind::Connect) {
      throw CallFailed{Outcome::BadCall, "accept_subprotocol was called outside connect"};
    }
    const ConnectInfo* const info = event_.connect_info;
    return info != nullptr && offers_subprotocol(*info, name) && effects_.accept_subprotocol(name);
  }
  [[nodiscard]] std::int64_t now() override { return event_.time_ms; }
  void random(std::span<std::byte> bytes) override {
    if (!random_) {
      random_.emplace(seed_, event_.number);
    }
    random_->fill(bytes);
  }
  void log(LogLevel level, std::string_view text) override { effects_.log(level, text); }
  [[nodiscard]] std::string_view room_id() override { return room_id_; }

 private:
  void check(Effects::Push pushed, const char* call) const {
    if (pushed != Effects::Push::Done) [[unlikely]] {
      fail(pushed, call);
    }
  }
  [[noreturn]] void fail(Effects::Push pushed, const char* call) const {
    switch (pushed) {
      case Effects::Push::Done:
        break;
      case Effects::Push::OverLimit:
        throw CallFailed{Outcome::EffectLimit, std::string(call) + ": over the limit of sends or bytes of one event",
                         effects_.limit_passed()};
      case Effects::Push::NotUtf8:
        throw CallFailed{Outcome::BadCall, std::string(call) + ": the text is not valid UTF-8"};
      case Effects::Push::Invalid:
        throw CallFailed{Outcome::BadCall,
                         std::string(call) + ": a code other than 1000 and 3000 to 4999, or a reason that is too long"};
    }
    std::unreachable();
  }

  const std::string& room_id_;
  const Event& event_;
  const Seed& seed_;
  std::optional<EventRandom> random_;  // Made by the first draw: most events draw nothing.
  Effects& effects_;
};

// Runs user code; what it throws becomes `fault`.
template <class Call>
Outcome contain(Fault& fault, Call&& call) {
  try {
    std::forward<Call>(call)();
    return Outcome::Done;
  } catch (const CallFailed& failed) {
    fault = {failed.outcome, failed.reason, {}, failed.limit};
  } catch (const std::exception& error) {
    fault = {Outcome::Trap, std::string("exception: ") + error.what(), {}};
  } catch (...) {
    fault = {Outcome::Trap, "an exception that is not a std::exception", {}};
  }
  return fault.outcome;
}

class NativeInstance final : public ServiceInstance {
 public:
  NativeInstance(std::string room_id, const Seed& seed) : room_id_(std::move(room_id)), seed_(seed) {}

  Outcome construct(const detail::NativeServiceFactory& factory, std::int64_t time_ms, Effects& effects) {
    const Event start{.time_ms = time_ms};
    EventContext context(room_id_, start, seed_, effects);
    return contain(fault_, [&] { service_ = factory.make(room_id_, context); });
  }

  Outcome handle(const Event& event, Effects& effects) override {
    EventContext context(room_id_, event, seed_, effects);
    return contain(fault_, [&] { dispatch(event, context); });
  }

  [[nodiscard]] const Fault& fault() const override { return fault_; }

  [[nodiscard]] Outcome capture(std::string& state) const override {
    Writer writer;
    Fault fault;
    const Outcome outcome = contain(fault, [&] { service_->save(writer); });
    state += writer.bytes();
    return outcome;
  }

  Fault load(std::string_view state) {
    Reader reader(state);
    Fault fault;
    fault.outcome = contain(fault, [&] { service_->load(reader); });
    if (fault.outcome == Outcome::Done && (!reader.ok() || !reader.at_end())) {
      fault = {Outcome::Trap,
               reader.ok() ? "load did not read all that save wrote" : "load asked for more than save wrote",
               {}};
    }
    return fault;
  }

 private:
  void dispatch(const Event& event, Context& context) {
    switch (event.kind) {
      case EventKind::Connect: {
        static const ConnectInfo kNothingKnown;
        const EventClientInfo info(event.connect_info != nullptr ? *event.connect_info : kNothingKnown);
        return service_->connect(event.client, info, context);
      }
      case EventKind::Disconnect:
        return service_->disconnect(event.client, context);
      case EventKind::Text:
        return service_->message(event.client, event.payload, context);
      case EventKind::Binary:
        return service_->binary(event.client, std::as_bytes(std::span(event.payload)), context);
      case EventKind::Timer:
        return service_->timer(context);
    }
  }

  std::string room_id_;
  Seed seed_;
  std::unique_ptr<detail::NativeService> service_;
  Fault fault_;
};

class NativeServiceType final : public Service {
 public:
  NativeServiceType(std::string name, detail::NativeServiceFactory factory)
      : name_(std::move(name)), factory_(std::move(factory)) {}

  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] std::expected<std::unique_ptr<ServiceInstance>, Fault> create(const RoomStart& start,
                                                                              Effects& effects) override {
    auto instance = std::make_unique<NativeInstance>(std::string(start.room_id), start.seed);
    if (instance->construct(factory_, start.time_ms, effects) != Outcome::Done) {
      return std::unexpected(instance->fault());
    }
    return instance;
  }

  [[nodiscard]] std::expected<std::unique_ptr<ServiceInstance>, Fault> restore(const RoomStart& start,
                                                                               std::string_view state) override {
    auto instance = std::make_unique<NativeInstance>(std::string(start.room_id), start.seed);
    Effects nobody_hears;
    if (instance->construct(factory_, start.time_ms, nobody_hears) != Outcome::Done) {
      return std::unexpected(instance->fault());
    }
    if (Fault fault = instance->load(state); fault.outcome != Outcome::Done) {
      return std::unexpected(std::move(fault));
    }
    return instance;
  }

  [[nodiscard]] std::vector<std::string> obstacles_to_capture() const override {
    if (factory_.savable) {
      return {};
    }
    return {"its class has no save(jamsocket::Writer&) const and load(jamsocket::Reader&)"};
  }
  [[nodiscard]] std::string_view version() const override { return kNativeVersion; }

 private:
  std::string name_;
  detail::NativeServiceFactory factory_;
};

}  // namespace

std::unique_ptr<Service> make_native_service(std::string name, detail::NativeServiceFactory factory) {
  return std::make_unique<NativeServiceType>(std::move(name), std::move(factory));
}

}  // namespace jamsocket::service
