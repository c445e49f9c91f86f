#include "room/policy.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <array>
#include <span>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/number.hpp"

namespace jamsocket::room {
namespace {

constexpr std::uint32_t kLettersMin = 3;
constexpr std::uint32_t kLettersMax = 12;
constexpr std::uint32_t kSecondsMax = 315'360'000;  // Ten years.

void fill_random(std::span<unsigned char> bytes) {
  JAM_CHECK(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

}  // namespace

Result<RoomStrategy> RoomStrategy::parse(std::string_view text) {
  if (text == "implicit") {
    return RoomStrategy{.kind = Kind::Implicit};
  }
  if (text == "api") {
    return RoomStrategy{.kind = Kind::Api};
  }
  if (text == "uuid") {
    return RoomStrategy{.kind = Kind::Uuid};
  }
  if (text == "short") {
    return RoomStrategy{.kind = Kind::Short};
  }
  if (text.starts_with("short")) {
    const auto letters = parse_number<std::uint32_t>(text.substr(5));
    if (letters && *letters >= kLettersMin && *letters <= kLettersMax && text[5] != '0') {
      return RoomStrategy{.kind = Kind::Short, .letters = *letters};
    }
  }
  return fail(ErrorCode::InvalidArgument,
              fmt::format("room strategy '{}' is not one of implicit, api, uuid, short, short{} to short{}",
                          escape_for_log(text, 40), kLettersMin, kLettersMax));
}

std::string RoomStrategy::generate_id() const {
  if (kind == Kind::Short) {
    std::string id;
    while (id.size() < letters) {
      std::array<unsigned char, 16> bytes{};
      fill_random(bytes);
      for (const unsigned char byte : bytes) {
        // 234 is the largest multiple of 26 in a byte: beyond it some letters would be likelier.
        if (byte < 234 && id.size() < letters) {
          id += static_cast<char>('A' + byte % 26);
        }
      }
    }
    return id;
  }
  std::array<unsigned char, 16> bytes{};
  fill_random(bytes);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  std::string id;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      id += '-';
    }
    id += fmt::format("{:02x}", bytes[i]);
  }
  return id;
}

Result<ShutdownPolicy> ShutdownPolicy::parse(std::string_view text) {
  if (text == "never") {
    return ShutdownPolicy{.empty_for = std::nullopt};
  }
  if (text == "immediate") {
    return ShutdownPolicy{.empty_for = std::chrono::seconds{0}};
  }
  if (text.ends_with("sec")) {
    const auto seconds = parse_number<std::uint32_t>(text.substr(0, text.size() - 3));
    if (seconds && *seconds <= kSecondsMax) {
      return ShutdownPolicy{.empty_for = std::chrono::seconds{*seconds}};
    }
  }
  return fail(
      ErrorCode::InvalidArgument,
      fmt::format("shutdown policy '{}' is not one of never, immediate, <n>sec with n a whole number from 0 to {}",
                  escape_for_log(text, 40), kSecondsMax));
}

}  // namespace jamsocket::room
