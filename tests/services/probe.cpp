// tests/services/probe.cpp
//
// A service that does what it is told, the bad things too: what the black-box tests and the
// scenarios need and no example has.
//
// Commands are text messages, "VERB ARGUMENTS"; each is described where it is handled.

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <jamsocket/service.hpp>

#ifdef __wasm__
// The ABI's own function, to tell the host lies that the Context would not tell.
extern "C" __attribute__((import_module("env"), import_name("send_message"))) void probe_raw_send(
    std::uint32_t recipient, std::uint32_t pointer, std::uint32_t length);
#endif

class Probe {
 public:
  Probe(std::string_view room_id, jamsocket::Context& context) {
    if (room_id == "trap-at-start") {
      fail_now();
    } else if (room_id == "spin-at-start") {
      spin();
    } else if (room_id == "send-at-start") {
      context.send_message(jamsocket::broadcast, "nobody hears this");
    } else if (room_id == "timer-at-start") {
      context.set_timer(5000);
    }
  }

  /// ?refuse=REASON refuses; ?trap traps; ?accept=NAME accepts a subprotocol; ?info tells what is known of the client,
  /// ?who what its token says;
  /// ?close closes at once.
  void connect(jamsocket::ClientId client, const jamsocket::ClientInfo& info, jamsocket::Context& context) {
    const std::string_view query = info.query();
    if (query == "trap") {
      fail_now();
    }
    if (query.starts_with("refuse=")) {
      context.send_message(client, "dropped");
      context.refuse(query.substr(7));
      return;
    }
    if (info.claim("refuse")) {
      context.refuse("not this one");
      return;
    }
    if (query.starts_with("accept=")) {
      const bool accepted = context.accept_subprotocol(query.substr(7));
      context.send_message(client, accepted ? "accepted" : "not offered");
    }
    ++clients_;
    context.send_message(client, "you are " + number(client));
    context.send_message(jamsocket::everyone_except(client), number(client) + " connected");
    if (query.starts_with("info")) {
      context.send_message(client, "query " + std::string(query));
      context.send_message(client, "address " + std::string(info.remote_address()));
      context.send_message(client, "user-agent " + std::string(info.header("User-Agent").value_or("(none)")));
      context.send_message(client, "cookie " + std::string(info.header("cookie").value_or("(none)")));
    }
    if (query.starts_with("who")) {
      context.send_message(client, "subject " + std::string(info.subject()));
      context.send_message(client, "role " + std::string(info.claim("role").value_or("(none)")));
      context.send_message(client, "rank " + std::string(info.claim("rank").value_or("(none)")));
      context.send_message(client, "query " + std::string(query));
    }
    if (query == "close") {
      context.close(client, 4001, "closed at connect");
    }
  }

  void disconnect(jamsocket::ClientId client, jamsocket::Context& context) {
    --clients_;
    context.send_message(jamsocket::broadcast, number(client) + " disconnected");
  }

  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    const std::string_view all = text;
    const std::string_view verb = take_word(text);
    if (!say(verb, client, text, context) && !ask(verb, client, text, context) &&
        !misbehave(verb, client, text, context)) {
      context.send_message(client, all);  // Anything else is echoed.
    }
  }

  void binary(jamsocket::ClientId client, jamsocket::Bytes bytes, jamsocket::Context& context) {
    context.send_binary(client, bytes);
  }

  void timer(jamsocket::Context& context) {
    context.send_message(jamsocket::broadcast, "timer " + std::to_string(++timers_));
  }

 private:
  static std::string number(jamsocket::ClientId client) { return std::to_string(static_cast<std::uint32_t>(client)); }

  static std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size() < text.size() ? word.size() + 1 : text.size());
    return word;
  }

  static std::uint32_t take_number(std::string_view& text) {
    const std::string_view word = take_word(text);
    std::uint32_t value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  }

  /// To whom: all TEXT, to CLIENT TEXT, except CLIENT TEXT; close CLIENT CODE REASON.
  static bool say(std::string_view verb, jamsocket::ClientId /*client*/, std::string_view text,
                  jamsocket::Context& context) {
    if (verb == "all") {
      context.send_message(jamsocket::broadcast, text);
    } else if (verb == "to") {
      const jamsocket::ClientId to{take_number(text)};
      context.send_message(to, text);
    } else if (verb == "except") {
      const jamsocket::ClientId except{take_number(text)};
      context.send_message(jamsocket::everyone_except(except), text);
    } else if (verb == "close") {
      const jamsocket::ClientId whom{take_number(text)};
      const auto code = static_cast<std::uint16_t>(take_number(text));
      context.close(whom, code, text);
      context.send_message(whom, "never seen: sent after the close");
    } else {
      return false;
    }
    return true;
  }

  /// count, clients, now, room, timer MS, log TEXT, many N, big N, storm N SIZE.
  bool ask(std::string_view verb, jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    if (verb == "count") {
      context.send_message(client, "count " + std::to_string(++count_));
    } else if (verb == "clients") {
      context.send_message(client, "clients " + std::to_string(clients_));
    } else if (verb == "now") {
      context.send_message(client, "now " + std::to_string(context.now()));
    } else if (verb == "room") {
      context.send_message(client, "room " + std::string(context.room_id()));
    } else if (verb == "timer") {
      context.set_timer(take_number(text));
    } else if (verb == "log") {
      context.log(jamsocket::LogLevel::Info, text);
    } else if (verb == "many") {
      const std::uint32_t messages = take_number(text);
      for (std::uint32_t i = 1; i <= messages; ++i) {
        context.send_message(client, std::to_string(i));
      }
    } else if (verb == "big") {
      context.send_message(client, std::string(take_number(text), 'x'));
    } else if (verb == "storm") {
      const std::uint32_t messages = take_number(text);
      const std::string payload(take_number(text), 'x');
      for (std::uint32_t i = 0; i < messages; ++i) {
        context.send_message(jamsocket::broadcast, payload);
      }
    } else {
      return false;
    }
    return true;
  }

  /// trap, spin, grow, recurse, bad-utf8, bad-close, lie POINTER LENGTH.
  bool misbehave(std::string_view verb, jamsocket::ClientId client, std::string_view text,
                 jamsocket::Context& context) {
    if (verb == "trap") {
      context.send_message(jamsocket::broadcast, "never seen: sent by a call that failed");
      fail_now();
    } else if (verb == "spin") {
      spin();
    } else if (verb == "grow") {
      for (;;) {
        hoard_.push_back(std::make_unique<std::array<std::byte, 65536>>());
      }
    } else if (verb == "recurse") {
      context.send_message(client, std::to_string(recurse(1)));
    } else if (verb == "bad-utf8") {
      context.send_message(client, "\xc0\xaf");
    } else if (verb == "bad-close") {
      context.close(client, 1006, "");
    } else if (verb == "lie") {
      const std::uint32_t pointer = take_number(text);
      lie(client, pointer, take_number(text));
    } else {
      return false;
    }
    return true;
  }

  static void fail_now() {
#ifdef __wasm__
    __builtin_trap();
#else
    throw std::runtime_error("told to fail");
#endif
  }

  /// Sends bytes that are not ours. A native service could not be stopped from it: there, it only fails.
  static void lie([[maybe_unused]] jamsocket::ClientId client, [[maybe_unused]] std::uint32_t pointer,
                  [[maybe_unused]] std::uint32_t length) {
#ifdef __wasm__
    probe_raw_send(static_cast<std::uint32_t>(client), pointer, length);
#else
    fail_now();
#endif
  }

  void spin() {
    for (;;) {
      rounds_ = rounds_ + 1;
    }
  }

  /// Never ends by itself; volatile, so that it is neither folded nor made a loop.
  std::uint32_t recurse(std::uint32_t depth) {
    volatile std::uint32_t frame[64] = {};
    frame[depth % 64] = depth;
    rounds_ = depth;
    return rounds_ == 0 ? 0 : recurse(depth + 1) + frame[(depth + 1) % 64];
  }

  std::uint32_t count_ = 0;
  std::int32_t clients_ = 0;
  std::uint32_t timers_ = 0;
  volatile std::uint32_t rounds_ = 0;
  std::vector<std::unique_ptr<std::array<std::byte, 65536>>> hoard_;
};

JAMSOCKET_WASM(Probe)
