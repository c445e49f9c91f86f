// ws/deflate.hpp
//
// Messages compressed and inflated by what a session agreed to (deflate_offer.hpp).
//
// Without context takeover each message stands alone, and one Inflater and one Deflater a loop serve all its
// sessions. With it, a session owns one of each: their memory is inflater_bytes and deflater_bytes, as all of them
// make their messages in the room of the loop's.

#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ws/deflate_offer.hpp"
#include "ws/frame.hpp"

namespace jamsocket::ws {

/// Below this, compressing costs more than it saves.
inline constexpr std::size_t kCompressBytesMin = 512;

class Inflater {
 public:
  Inflater();
  /// Makes its messages in `room`, which others may use as well, and keeps nothing but its context.
  explicit Inflater(std::string& room);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Inflates a whole message: the payloads of its frames, one behind the other.
  ///
  /// Never makes more than `bytes_max` bytes and one: a bomb costs no more than an honest message.
  /// @return the message, valid until the next call of any that has the same room.
  /// @error 1009  it would be longer than `bytes_max`.
  /// @error 1007  the data is damaged, ends early, or refers to what the context does not hold: bytes of earlier
  ///              messages without takeover, or from before the agreed window.
  ///
  /// Three liberties of senders are taken, as they cost nothing: a message whose end was not cut off, a final block
  /// with nothing after it, and a reference further back than the agreed window into the same message (zlib has that at
  /// hand).
  /// @source RFC 7692 section 7.2.2
  [[nodiscard]] std::expected<std::string_view, Violation> inflate(std::string_view compressed, std::size_t bytes_max,
                                                                   const DeflateAgreement& agreement);
  [[nodiscard]] std::string& room() { return message_; }

 private:
  class Stream;

  std::optional<Violation> append_inflated(std::string_view compressed, std::size_t bytes_max);

  std::unique_ptr<Stream> stream_;
  std::string own_room_;
  std::string& message_;
  std::size_t message_bytes_ = 0;  // What of `message_` is the message; the rest is room.
};

class Deflater {
 public:
  /// @param level  1 (quick) to 9 (small).
  explicit Deflater(int level = kLevel);
  /// Makes its messages in `room`, which others may use as well, and keeps nothing but its context.
  explicit Deflater(std::string& room, int level = kLevel);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// Compresses a whole message into the payload of one frame, whose header says Compressed::Yes.
  ///
  /// Recipients whose agreements are equal, and that have no server takeover, may share the result.
  /// @return nullopt when it is not worth it: shorter than kCompressBytesMin, or not made smaller. Send it plain.
  ///         Otherwise valid until the next call of any that has the same room.
  /// @source RFC 7692 section 7.2.1
  [[nodiscard]] std::optional<std::string_view> deflate(std::string_view message, const DeflateAgreement& agreement);
  [[nodiscard]] std::string& room() { return compressed_; }

 private:
  class Stream;
  static constexpr int kLevel = 3;

  int level_;
  std::unique_ptr<Stream> stream_;
  std::string own_room_;
  std::string& compressed_;
};

/// What one holds in memory for a session with context takeover.
[[nodiscard]] std::size_t inflater_bytes(const DeflateAgreement& agreement);
[[nodiscard]] std::size_t deflater_bytes(const DeflateAgreement& agreement);

}  // namespace jamsocket::ws
