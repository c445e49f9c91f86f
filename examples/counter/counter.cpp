// examples/counter/counter.cpp
//
// A number that everyone in the room shares: the smallest service with state.

#include <cstdint>
#include <string>

#include <jamsocket/service.hpp>

class SharedCounter {
 public:
  SharedCounter(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {}

  /// "increment" and "decrement" change the number; any other text only asks for it.
  void message(jamsocket::ClientId /*client*/, std::string_view text, jamsocket::Context& context) {
    if (text == "increment") {
      ++value_;
    } else if (text == "decrement") {
      --value_;
    }
    context.send_message(jamsocket::broadcast, "new value: " + std::to_string(value_));
  }

  // Only a native server that keeps its rooms needs these two: a module's memory is kept as it is.
  void save(jamsocket::Writer& writer) const { writer.put(value_); }
  void load(jamsocket::Reader& reader) { reader.get(value_); }

 private:
  std::int64_t value_ = 0;
};

JAMSOCKET_WASM(SharedCounter)
