// ws/message_reader.hpp
//
// A client's bytes become messages: frames decoded, fragments joined, every rule of the protocol held.
//
// One a client session. Idle it is two words: bytes are looked at where they were received, and only
// what is incomplete is copied, into a Partial that exists until it is complete. Knows no socket.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ws/deflate_offer.hpp"
#include "ws/frame.hpp"

namespace jamsocket::ws {

class Inflater;

struct ReaderLimits {
  std::uint64_t message_bytes_max = std::uint64_t{1} << 20U;  ///< After reassembly and inflating. Beyond: 1009.
  std::uint32_t fragments_max = 1024;                         ///< Frames of one message. Beyond: 1008.
};

enum class StepKind : std::uint8_t {
  NeedMore,  ///< All of the input is consumed.
  Text,      ///< A whole message, valid UTF-8.
  Binary,    ///< A whole message.
  Ping,      ///< To be answered by a Pong with the same payload.
  Pong,
  Close,    ///< The peer closes. The reader is at its end.
  Failure,  ///< The peer broke the protocol: close with `code`. The reader is at its end.
};

struct ReadStep {
  StepKind kind = StepKind::NeedMore;
  std::uint16_t code = 0;    ///< Close: the peer's, 0 if it gave none. Failure: 1002, 1007, 1008 or 1009.
  std::string_view payload;  ///< Of a message, Ping or Pong. Close: the peer's reason. Failure: why, static.
};

/// How a session's compressed messages are inflated; without an inflater none may come.
struct Inflation {
  Inflater* inflater = nullptr;  ///< The session's own if its client takes over contexts; else any.
  DeflateAgreement agreement;
};

class MessageReader {
 public:
  MessageReader() noexcept;
  MessageReader(MessageReader&&) noexcept;
  MessageReader& operator=(MessageReader&&) noexcept;
  ~MessageReader();

  /// Takes the next thing from the front of `input`. Call it until it says NeedMore, after each read:
  /// the last call also frees what the step before it showed.
  ///
  /// @param input  bytes as received; unmasked in place, and shortened by what was consumed.
  /// @return one step. Its payload points into `input`, this reader or the inflater, and is valid until the next
  ///         call. After Close or Failure everything is consumed and ignored.
  /// @source RFC 6455 sections 5 to 8; RFC 7692 sections 6 and 7
  [[nodiscard]] ReadStep next(std::span<char>& input, const ReaderLimits& limits, const Inflation& inflation = {});

  /// Whether a frame or a fragmented message has begun and not ended; for its deadline.
  [[nodiscard]] bool mid_message() const;

  /// Bytes on the heap for what is incomplete; 0 when nothing is.
  [[nodiscard]] std::size_t held_bytes() const;

 private:
  struct Partial;

  struct Context;  // What one call of `next` was given.

  ReadStep next_general(std::span<char>& input, const ReaderLimits& limits, const Inflation& inflation);
  std::expected<std::optional<FrameHeader>, Violation> take_header(Context& context);
  std::optional<ReadStep> begin_frame(const FrameHeader& header, Context& context);
  std::optional<ReadStep> continue_frame(Context& context);
  std::optional<ReadStep> end_data_frame(const Context& context);
  static ReadStep message(Opcode opcode, std::string_view payload);
  ReadStep inflated(Opcode opcode, std::string_view compressed, const Context& context);
  ReadStep control(Opcode opcode, std::string_view payload);
  ReadStep failure(Violation violation);
  void drop_delivered();

  std::unique_ptr<Partial> partial_;
  bool at_end_ = false;
};

static_assert(sizeof(MessageReader) <= 24);

}  // namespace jamsocket::ws
