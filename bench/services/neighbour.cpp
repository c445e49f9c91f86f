// services/neighbour.cpp
//
// A room that others would rather not live next to: each message says what it does.

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <jamsocket/service.hpp>

class Neighbour {
 public:
  Neighbour(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  /// Echoed: those who notice.
  void binary(jamsocket::ClientId client, jamsocket::Bytes bytes, jamsocket::Context& context) {
    context.send_binary(client, bytes);
  }

  /// spin: for ever. work N: N thousand rounds, then an answer. grow: memory until there is none. trap. all TEXT: it
  /// goes to all others. Else: an answer.
  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    if (text == "spin") {
      work(UINT64_MAX);
    } else if (text.starts_with("work ")) {
      std::uint64_t thousands = 0;
      std::from_chars(text.data() + 5, text.data() + text.size(), thousands);
      work(thousands * 1000);
    } else if (text == "grow") {
      grow();
    } else if (text == "trap") {
      trap();
    } else if (text.starts_with("all ")) {
      context.send_message(jamsocket::everyone_except(client), text);
    }
    context.send_message(client, "done");
  }

 private:
  static void trap() { __builtin_trap(); }

  void work(std::uint64_t rounds) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
      rounds_ = rounds_ + 1;
    }
  }

  static void grow() {
#ifdef __wasm__
    constexpr std::size_t kPages = 16;
    while (__builtin_wasm_memory_grow(0, kPages) != SIZE_MAX) {
    }
#endif
    trap();
  }

  volatile std::uint64_t rounds_ = 0;  // Volatile: a loop without any effect could be compiled away.
};

JAMSOCKET_WASM(Neighbour)
