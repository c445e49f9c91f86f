#include "ws/message_reader.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/utf8.hpp"
#include "ws/close_code.hpp"
#include "ws/deflate.hpp"
#include "ws/utf8.hpp"

namespace jamsocket::ws {

struct MessageReader::Partial {
  std::string message;                 // Of the open message, unmasked.
  FrameHeader frame;                   // The open frame, if in_frame.
  std::uint64_t frame_done_bytes = 0;  // Payload of the open frame that has come.
  std::uint32_t fragments = 0;         // Frames of the open message, the open one included.
  Opcode message_opcode = Opcode::Continuation;
  bool in_frame = false;
  bool in_message = false;     // False again once the message was delivered.
  bool is_compressed = false;  // The open message.
  Utf8Stream utf8;
  std::uint8_t header_bytes = 0;  // Of a header that has not come whole.
  std::array<char, kClientHeaderBytesMax> header{};
  std::array<char, kControlBytesMax> control{};

  [[nodiscard]] bool is_open() const { return in_frame || in_message || header_bytes > 0; }
};

struct MessageReader::Context {
  std::span<char>& input;
  const ReaderLimits& limits;
  const Inflation& inflation;
};

namespace {

constexpr Violation kBadText{close_code::kBadData, "text is not UTF-8"};

// What of a compressed message may come: what cannot be made smaller becomes a little longer.
std::uint64_t compressed_bytes_max(const ReaderLimits& limits) {
  return limits.message_bytes_max + limits.message_bytes_max / 64 + 64;
}

std::span<char> take(std::span<char>& input, std::size_t bytes) {
  const std::span<char> front = input.first(bytes);
  input = input.subspan(bytes);
  return front;
}

std::string_view view(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

// Appends so that the buffer never grows beyond twice what came, nor beyond what was announced.
void append_received(std::string& message, std::string_view piece, std::uint64_t announced_bytes) {
  const std::size_t needed = message.size() + piece.size();
  if (needed > message.capacity()) {
    const std::size_t doubled = std::max<std::size_t>(2 * needed, 512);
    message.reserve(
        std::max<std::size_t>(needed, static_cast<std::size_t>(std::min<std::uint64_t>(doubled, announced_bytes))));
  }
  message.append(piece);
}

// What is wrong with a Close body so far, if anything; it may not have come whole.
std::optional<Violation> check_close_body(std::string_view body, bool is_whole) {
  if (body.size() < 2) {
    return body.size() == 1 && is_whole ? std::optional(Violation{close_code::kProtocolError, "close body of one byte"})
                                        : std::nullopt;
  }
  const auto high = static_cast<std::uint8_t>(body[0]);
  const auto low = static_cast<std::uint8_t>(body[1]);
  if (!close_code::may_be_received(static_cast<std::uint16_t>((high << 8U) | low))) {
    return Violation{close_code::kProtocolError, "close code that may not be sent"};
  }
  Utf8Stream reason;
  if (!reason.feed(body.substr(2)) || (is_whole && !reason.complete())) {
    return Violation{close_code::kBadData, "close reason is not UTF-8"};
  }
  return std::nullopt;
}

}  // namespace

MessageReader::MessageReader() noexcept = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader& MessageReader::operator=(MessageReader&&) noexcept = default;
MessageReader::~MessageReader() = default;

ReadStep MessageReader::next(std::span<char>& input, const ReaderLimits& limits, const Inflation& inflation) {
  // The path of nearly every frame: whole, unfragmented, up to 125 bytes, nothing pending before it.
  if (!partial_ && !at_end_ && input.size() >= 6) [[likely]] {
    const auto first = static_cast<std::uint8_t>(input[0]);
    const auto second = static_cast<std::uint8_t>(input[1]);
    const std::size_t payload_bytes = second & 0x7FU;
    const bool is_plain = (first == 0x81 || first == 0x82) && second >= 0x80 && payload_bytes <= 125;
    if (is_plain && input.size() >= 6 + payload_bytes && payload_bytes <= limits.message_bytes_max) [[likely]] {
      std::uint32_t mask = 0;
      std::memcpy(&mask, input.data() + 2, 4);
      const std::span<char> payload = input.subspan(6, payload_bytes);
      input = input.subspan(6 + payload_bytes);
      const bool is_ascii = unmask(payload, mask);
      if (first == 0x82) {
        return {StepKind::Binary, 0, view(payload)};
      }
      if (is_ascii || is_utf8(view(payload))) {
        return {StepKind::Text, 0, view(payload)};
      }
      return failure(kBadText);
    }
  }
  return next_general(input, limits, inflation);
}

ReadStep MessageReader::next_general(std::span<char>& input, const ReaderLimits& limits, const Inflation& inflation) {
  Context context{.input = input, .limits = limits, .inflation = inflation};
  drop_delivered();
  if (at_end_) {
    context.input = {};
    return {};
  }
  for (;;) {
    if (!partial_ || !partial_->in_frame) {
      if (context.input.empty()) {
        return {};
      }
      const auto header = take_header(context);
      if (!header) {
        return failure(header.error());
      }
      if (!header->has_value()) {
        return {};
      }
      if (const auto step = begin_frame(**header, context)) {
        return *step;
      }
    }
    if (const auto step = continue_frame(context)) {
      return *step;
    }
    if (partial_->in_frame) {
      return {};
    }
  }
}

// The next header, from `input` and what came of it before; incomplete, it is kept and nullopt returned.
std::expected<std::optional<FrameHeader>, Violation> MessageReader::take_header(Context& context) {
  std::span<char>& input = context.input;
  const bool in_message = partial_ && partial_->in_message;
  const std::uint64_t joined_bytes = in_message ? partial_->message.size() : 0;
  const std::uint64_t bytes_max =
      in_message && partial_->is_compressed ? compressed_bytes_max(context.limits) : context.limits.message_bytes_max;
  const FrameRules rules{.data_bytes_max = bytes_max - std::min(joined_bytes, bytes_max),
                         .inside_message = in_message,
                         .rsv1_allowed = context.inflation.inflater != nullptr,
                         .compressed_bytes_max = compressed_bytes_max(context.limits)};
  const std::size_t before = partial_ ? partial_->header_bytes : 0;
  if (before == 0) {
    auto header = parse_frame_header(input, rules);
    if (!header) {
      return header;
    }
    if (header->has_value()) {
      take(input, (*header)->header_bytes);
      return header;
    }
  }
  if (!partial_) {
    partial_ = std::make_unique<Partial>();
  }
  Partial& partial = *partial_;
  const std::size_t copied = std::min(input.size(), kClientHeaderBytesMax - before);
  std::copy_n(input.begin(), copied, partial.header.begin() + static_cast<std::ptrdiff_t>(before));
  auto header = parse_frame_header(std::span(partial.header).first(before + copied), rules);
  if (!header) {
    return header;
  }
  if (header->has_value()) {
    take(input, (*header)->header_bytes - before);
    partial.header_bytes = 0;
  } else {
    take(input, copied);
    partial.header_bytes = static_cast<std::uint8_t>(before + copied);
  }
  return header;
}

// A frame that is whole in `input` and needs no joining is answered from there; any other is opened.
std::optional<ReadStep> MessageReader::begin_frame(const FrameHeader& header, Context& context) {
  const bool is_alone = header.fin && header.opcode != Opcode::Continuation;
  if (is_alone && header.payload_bytes <= context.input.size()) {
    const std::span<char> payload = take(context.input, static_cast<std::size_t>(header.payload_bytes));
    const bool is_ascii = unmask(payload, header.mask);
    if (is_control(header.opcode)) {
      return control(header.opcode, view(payload));
    }
    if (header.rsv1) {
      return inflated(header.opcode, view(payload), context);
    }
    if (header.opcode == Opcode::Text && !is_ascii && !is_utf8(view(payload))) {
      return failure(kBadText);
    }
    return message(header.opcode, view(payload));
  }
  if (!partial_) {
    partial_ = std::make_unique<Partial>();
  }
  Partial& partial = *partial_;
  partial.frame = header;
  partial.frame_done_bytes = 0;
  partial.in_frame = true;
  if (is_control(header.opcode)) {
    return std::nullopt;
  }
  if (header.opcode != Opcode::Continuation) {
    partial.in_message = true;
    partial.message_opcode = header.opcode;
    partial.is_compressed = header.rsv1;
    partial.message.clear();
    partial.fragments = 0;
    partial.utf8.reset();
  }
  ++partial.fragments;
  if (partial.fragments > context.limits.fragments_max) {
    return failure({close_code::kPolicy, "too many fragments"});
  }
  return std::nullopt;
}

// Takes what has come of the open frame. Nothing to say: the frame is still open, or was a fragment.
std::optional<ReadStep> MessageReader::continue_frame(Context& context) {
  Partial& partial = *partial_;
  std::span<char>& input = context.input;
  const FrameHeader& frame = partial.frame;
  const std::uint64_t left = frame.payload_bytes - partial.frame_done_bytes;
  const std::span<char> piece = take(input, static_cast<std::size_t>(std::min<std::uint64_t>(left, input.size())));
  unmask(piece, frame.mask, partial.frame_done_bytes);
  const auto done_before = static_cast<std::size_t>(partial.frame_done_bytes);
  partial.frame_done_bytes += piece.size();
  partial.in_frame = partial.frame_done_bytes < frame.payload_bytes;

  if (is_control(frame.opcode)) {
    std::ranges::copy(piece, partial.control.begin() + static_cast<std::ptrdiff_t>(done_before));
    const std::string_view body(partial.control.data(), done_before + piece.size());
    if (!partial.in_frame) {
      return control(frame.opcode, body);
    }
    if (frame.opcode == Opcode::Close) {
      if (const auto violation = check_close_body(body, false)) {
        return failure(*violation);
      }
    }
    return std::nullopt;
  }
  // Compressed text can be judged only once it is inflated.
  if (partial.message_opcode == Opcode::Text && !partial.is_compressed && !partial.utf8.feed(view(piece))) {
    return failure(kBadText);
  }
  append_received(partial.message, view(piece), partial.message.size() - done_before + frame.payload_bytes);
  return partial.in_frame ? std::nullopt : end_data_frame(context);
}

std::optional<ReadStep> MessageReader::end_data_frame(const Context& context) {
  Partial& partial = *partial_;
  if (!partial.frame.fin) {
    return std::nullopt;
  }
  partial.in_message = false;
  if (partial.is_compressed) {
    return inflated(partial.message_opcode, partial.message, context);
  }
  if (partial.message_opcode == Opcode::Text && !partial.utf8.complete()) {
    return failure(kBadText);
  }
  return message(partial.message_opcode, partial.message);
}

ReadStep MessageReader::message(Opcode opcode, std::string_view payload) {
  return {opcode == Opcode::Text ? StepKind::Text : StepKind::Binary, 0, payload};
}

ReadStep MessageReader::inflated(Opcode opcode, std::string_view compressed, const Context& context) {
  const Inflation& inflation = context.inflation;
  const auto bytes_max = static_cast<std::size_t>(context.limits.message_bytes_max);
  const auto payload = inflation.inflater->inflate(compressed, bytes_max, inflation.agreement);
  if (!payload) {
    return failure(payload.error());
  }
  if (opcode == Opcode::Text && !is_utf8(*payload)) {
    return failure(kBadText);
  }
  return message(opcode, *payload);
}

ReadStep MessageReader::control(Opcode opcode, std::string_view payload) {
  if (opcode != Opcode::Close) {
    return {opcode == Opcode::Ping ? StepKind::Ping : StepKind::Pong, 0, payload};
  }
  if (const auto violation = check_close_body(payload, true)) {
    return failure(*violation);
  }
  at_end_ = true;
  if (payload.empty()) {
    return {StepKind::Close, 0, {}};
  }
  const auto high = static_cast<std::uint8_t>(payload[0]);
  const auto low = static_cast<std::uint8_t>(payload[1]);
  return {StepKind::Close, static_cast<std::uint16_t>((high << 8U) | low), payload.substr(2)};
}

ReadStep MessageReader::failure(Violation violation) {
  at_end_ = true;
  return {StepKind::Failure, violation.close_code, violation.reason};
}

// Frees what the step before showed, and everything once nothing more will be read.
void MessageReader::drop_delivered() {
  if (partial_ && (at_end_ || !partial_->is_open())) {
    partial_.reset();
  }
}

bool MessageReader::mid_message() const { return partial_ && !at_end_ && partial_->is_open(); }

std::size_t MessageReader::held_bytes() const { return partial_ ? sizeof(Partial) + partial_->message.capacity() : 0; }

}  // namespace jamsocket::ws
