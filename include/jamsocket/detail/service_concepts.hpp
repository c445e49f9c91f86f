// jamsocket/detail/service_concepts.hpp
//
// Finds a service's callbacks, and says in a readable sentence when one has a wrong signature.
//
// A callback that exists by name but cannot be called as documented would otherwise be skipped in
// silence: `check_service` turns each such case into one static_assert.

#pragma once

#include <jamsocket/service.hpp>

namespace jamsocket::detail {

template <class T>
concept Constructible = std::is_constructible_v<T, std::string_view, Context&>;

template <class T>
concept HasConnect = requires(T& t, ClientId client, Context& context) { t.connect(client, context); };
template <class T>
concept HasConnectWithInfo =
    requires(T& t, ClientId client, const ClientInfo& info, Context& context) { t.connect(client, info, context); };
template <class T>
concept HasDisconnect = requires(T& t, ClientId client, Context& context) { t.disconnect(client, context); };
template <class T>
concept HasMessage =
    requires(T& t, ClientId client, std::string_view text, Context& context) { t.message(client, text, context); };
template <class T>
concept HasBinary =
    requires(T& t, ClientId client, Bytes bytes, Context& context) { t.binary(client, bytes, context); };
template <class T>
concept HasTimer = requires(T& t, Context& context) { t.timer(context); };
template <class T>
concept HasSave = requires(const T& t, Writer& writer) { t.save(writer); };
template <class T>
concept HasLoad = requires(T& t, Reader& reader) { t.load(reader); };

// Whether a class has a member of that name at all: deriving from it and from a class that has the
// name too makes the name ambiguous exactly when it does.
#define JAM_DETAIL_MEMBER_NAMED(Name, member) \
  struct Name##Fallback {                     \
    void member();                            \
  };                                          \
  template <class T>                          \
  struct Name##Probe : T, Name##Fallback {};  \
  template <class T>                          \
  concept Name = !requires { &Name##Probe<T>::member; }

JAM_DETAIL_MEMBER_NAMED(NamesConnect, connect);
JAM_DETAIL_MEMBER_NAMED(NamesDisconnect, disconnect);
JAM_DETAIL_MEMBER_NAMED(NamesMessage, message);
JAM_DETAIL_MEMBER_NAMED(NamesBinary, binary);
JAM_DETAIL_MEMBER_NAMED(NamesTimer, timer);
#undef JAM_DETAIL_MEMBER_NAMED

template <class T>
consteval bool check_service() {
  static_assert(std::is_class_v<T> && !std::is_final_v<T>, "a service is a class that is not final");
  static_assert(Constructible<T>,
                "a service needs a public constructor (std::string_view room_id, jamsocket::Context& context)");
  static_assert(!NamesConnect<T> || HasConnect<T> || HasConnectWithInfo<T>,
                "connect must be callable as connect(jamsocket::ClientId, jamsocket::Context&) or as "
                "connect(jamsocket::ClientId, const jamsocket::ClientInfo&, jamsocket::Context&)");
  static_assert(!NamesDisconnect<T> || HasDisconnect<T>,
                "disconnect must be callable as disconnect(jamsocket::ClientId, jamsocket::Context&)");
  static_assert(!NamesMessage<T> || HasMessage<T>,
                "message must be callable as message(jamsocket::ClientId, std::string_view, jamsocket::Context&)");
  static_assert(!NamesBinary<T> || HasBinary<T>,
                "binary must be callable as binary(jamsocket::ClientId, jamsocket::Bytes, jamsocket::Context&)");
  static_assert(!NamesTimer<T> || HasTimer<T>, "timer must be callable as timer(jamsocket::Context&)");
  static_assert(HasSave<T> == HasLoad<T>,
                "a service that is kept has both save(jamsocket::Writer&) const and load(jamsocket::Reader&)");
  return true;
}

template <class T>
void call_connect(T& service, ClientId client, const ClientInfo& info, Context& context) {
  if constexpr (HasConnectWithInfo<T>) {
    service.connect(client, info, context);
  } else if constexpr (HasConnect<T>) {
    service.connect(client, context);
  }
}
template <class T>
void call_disconnect(T& service, ClientId client, Context& context) {
  if constexpr (HasDisconnect<T>) {
    service.disconnect(client, context);
  }
}
template <class T>
void call_message(T& service, ClientId client, std::string_view text, Context& context) {
  if constexpr (HasMessage<T>) {
    service.message(client, text, context);
  }
}
template <class T>
void call_binary(T& service, ClientId client, Bytes bytes, Context& context) {
  if constexpr (HasBinary<T>) {
    service.binary(client, bytes, context);
  }
}
template <class T>
void call_timer(T& service, Context& context) {
  if constexpr (HasTimer<T>) {
    service.timer(context);
  }
}

}  // namespace jamsocket::detail
