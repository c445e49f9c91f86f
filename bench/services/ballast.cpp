// services/ballast.cpp
//
// A room whose memory weighs: 1 MiB that does not compress, of which each message changes a little.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <jamsocket/service.hpp>

class Ballast {
 public:
  Ballast(std::string_view /*room_id*/, jamsocket::Context& /*context*/) {
    for (std::uint64_t& word : weight_) {
      word = next();
    }
  }

  void message(jamsocket::ClientId client, std::string_view text, jamsocket::Context& context) {
    weight_[next() % kWords] = next();
    context.send_message(client, text);
  }

 private:
  static constexpr std::size_t kWords = (std::size_t{1} << 20U) / sizeof(std::uint64_t);

  // xorshift64: what it gives need not be good, only dense.
  std::uint64_t next() {
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return state_;
  }

  std::uint64_t state_ = 0x9E3779B97F4A7C15U;
  std::array<std::uint64_t, kWords> weight_{};
};

JAMSOCKET_WASM(Ballast)
