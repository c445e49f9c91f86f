// ws/utf8.hpp
//
// UTF-8 that arrives in pieces, refused at its first impossible byte.

#pragma once

#include <cstdint>
#include <string_view>

namespace jamsocket::ws {

/// Checks text piece by piece; a piece may end inside a character.
///
/// @source RFC 3629 section 4; RFC 6455 section 8.1
class Utf8Stream {
 public:
  /// @return false once `piece` holds a byte that cannot continue what came before it, even if the
  ///         character is not complete. Do not feed on after that.
  [[nodiscard]] bool feed(std::string_view piece);

  /// Whether the text so far ends between two characters.
  [[nodiscard]] bool complete() const { return missing_ == 0; }

  void reset() { *this = {}; }

 private:
  bool step(std::uint8_t byte);

  std::uint8_t missing_ = 0;      // Continuation bytes until the open character ends.
  std::uint8_t next_min_ = 0x80;  // The narrower range that some first bytes demand of their second.
  std::uint8_t next_max_ = 0xBF;
};

}  // namespace jamsocket::ws
