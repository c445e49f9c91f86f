// jamsocket/detail/native_service.hpp
//
// A service class behind one interface, so that the compiled server library can hold any of them.

#pragma once

#include <functional>
#include <memory>

#include <jamsocket/service.hpp>

namespace jamsocket::detail {

class NativeService {
 public:
  virtual ~NativeService() = default;
  virtual void connect(ClientId client, const ClientInfo& info, Context& context) = 0;
  virtual void disconnect(ClientId client, Context& context) = 0;
  virtual void message(ClientId client, std::string_view text, Context& context) = 0;
  virtual void binary(ClientId client, Bytes bytes, Context& context) = 0;
  virtual void timer(Context& context) = 0;
  virtual void save(Writer& writer) const = 0;
  virtual void load(Reader& reader) = 0;
};

struct NativeServiceFactory {
  std::function<std::unique_ptr<NativeService>(std::string_view room_id, Context&)> make;
  bool savable = false;  ///< The class has `save` and `load`.
  explicit operator bool() const { return static_cast<bool>(make); }
};

template <class T>
class NativeServiceOf final : public NativeService {
  static_assert(check_service<T>());

 public:
  NativeServiceOf(std::string_view room_id, Context& context) : service_(room_id, context) {}
  void connect(ClientId client, const ClientInfo& info, Context& context) override {
    call_connect(service_, client, info, context);
  }
  void disconnect(ClientId client, Context& context) override { call_disconnect(service_, client, context); }
  void message(ClientId client, std::string_view text, Context& context) override {
    call_message(service_, client, text, context);
  }
  void binary(ClientId client, Bytes bytes, Context& context) override {
    call_binary(service_, client, bytes, context);
  }
  void timer(Context& context) override { call_timer(service_, context); }
  void save(Writer& writer) const override {
    if constexpr (HasSave<T>) {
      service_.save(writer);
    }
  }
  void load(Reader& reader) override {
    if constexpr (HasLoad<T>) {
      service_.load(reader);
    }
  }

 private:
  T service_;
};

template <class T>
[[nodiscard]] NativeServiceFactory native_service_factory() {
  return {.make = [](std::string_view room_id, Context& context) -> std::unique_ptr<NativeService> {
            return std::make_unique<NativeServiceOf<T>>(room_id, context);
          },
          .savable = HasSave<T>};
}

}  // namespace jamsocket::detail
