// tests/guests/stateroom_counter.cpp
//
// The counter on the Stateroom interface 1/0, written against docs/abi.md alone: what its published
// crates make of a service, in C++.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

extern "C" __attribute__((import_module("env"), import_name("stateroom_send"))) void host_send(const char*,
                                                                                               std::size_t);

void append(std::string& out, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
}

std::uint64_t take(std::string_view& in, std::size_t width) {
  if (in.size() < width) {
    __builtin_trap();
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
  }
  in.remove_prefix(width);
  return value;
}

void broadcast_text(std::string_view text) {
  std::string out;
  append(out, 0, 4);  // message
  append(out, 0, 4);  // to everyone
  append(out, 1, 4);  // text
  append(out, text.size(), 8);
  out += text;
  host_send(out.data(), out.size());
}

struct Counter {
  int value = 0;
};
Counter* counter = nullptr;

void on_text(std::string_view text) {
  if (text == "increment") {
    ++counter->value;
  } else if (text == "decrement") {
    --counter->value;
  }
  broadcast_text("new value: " + std::to_string(counter->value));
}

}  // namespace

extern "C" {

extern const std::int32_t STATEROOM_API_VERSION;
extern const std::int32_t STATEROOM_API_PROTOCOL;
__attribute__((used)) const std::int32_t STATEROOM_API_VERSION = 1;
__attribute__((used)) const std::int32_t STATEROOM_API_PROTOCOL = 0;

__attribute__((export_name("stateroom_malloc"))) void* stateroom_malloc(std::size_t length) {
  return length == 0 ? nullptr : std::malloc(length);
}

__attribute__((export_name("stateroom_free"))) void stateroom_free(void* pointer, std::size_t /*length*/) {
  std::free(pointer);
}

__attribute__((export_name("stateroom_recv"))) void stateroom_recv(const char* bytes, std::size_t length) {
  std::string_view in(bytes, length);
  const std::uint64_t kind = take(in, 4);
  if (kind == 0) {
    counter = new Counter;
  } else if (kind == 3) {
    take(in, 4);  // The sender.
    const bool is_text = take(in, 4) == 1;
    const std::uint64_t size = take(in, 8);
    if (size != in.size()) {
      __builtin_trap();
    }
    if (is_text) {
      on_text(in);
    }
  }
}
}
