#include "http/body_scanner.hpp"

#include <algorithm>

#include "http/lists.hpp"

namespace jamsocket::http {
namespace {

// Sizes, extensions and trailers of one body; an honest client needs a few bytes a chunk.
constexpr std::size_t kLineBytesMax = std::size_t{16} << 10U;
constexpr std::size_t kSizeDigitsMax = 8;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char folded = static_cast<char>(c | 0x20);
  return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7F;
}

}  // namespace

BodyScanner BodyScanner::of_length(std::uint64_t length_bytes) {
  BodyScanner scanner;
  scanner.state_ = length_bytes == 0 ? State::Complete : State::Length;
  scanner.left_bytes_ = length_bytes;
  return scanner;
}

BodyScanner BodyScanner::of_chunks(std::uint64_t data_bytes_max) {
  BodyScanner scanner;
  scanner.state_ = State::Size;
  scanner.allowed_bytes_ = data_bytes_max;
  return scanner;
}

std::size_t BodyScanner::scan(std::string_view input, std::string* kept) {
  std::size_t taken = 0;
  while (taken < input.size() && !violation_ && state_ != State::Complete) {
    if (state_ != State::Length && state_ != State::Data) {
      step(input[taken]);
      ++taken;
      continue;
    }
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(left_bytes_, input.size() - taken));
    if (kept != nullptr) {
      kept->append(input.substr(taken, bytes));
    }
    taken += bytes;
    left_bytes_ -= bytes;
    if (left_bytes_ == 0) {
      state_ = state_ == State::Length ? State::Complete : State::DataCr;
    }
  }
  return taken;
}

void BodyScanner::step(char c) {
  if (++line_bytes_ > kLineBytesMax) {
    return refuse(400, "The lines between the chunks of the body are too long.");
  }
  switch (state_) {
    case State::Size:
    case State::SizeSpace:
    case State::Extension:
    case State::SizeLf:
      return step_size(c);
    case State::DataCr:
      return expect(c, '\r', State::DataLf);
    case State::DataLf:
      return expect(c, '\n', State::Size);
    default:
      return step_trailer(c);
  }
}

void BodyScanner::step_size(char c) {
  if (state_ == State::SizeLf) {
    expect(c, '\n', State::Size);
    return violation_ ? void() : end_size_line();
  }
  if (c == '\r' && size_digits_ > 0 && state_ != State::SizeSpace) {
    state_ = State::SizeLf;
    return;
  }
  if (state_ == State::Extension) {
    return is_control(c) ? refuse(400, "The body's chunks are not well-formed.") : void();
  }
  if (size_digits_ > 0 && (c == ' ' || c == '\t')) {
    state_ = State::SizeSpace;  // Allowed before an extension only: who takes it elsewhere may take another size, too.
    return;
  }
  if (size_digits_ > 0 && c == ';') {
    state_ = State::Extension;
    return;
  }
  const int digit = state_ == State::Size ? hex_digit(c) : -1;
  if (digit >= 0 && size_digits_ < kSizeDigitsMax) {
    left_bytes_ = left_bytes_ * 16 + static_cast<std::uint64_t>(digit);
    ++size_digits_;
  } else if (digit >= 0) {
    refuse(413, "The body is too long.");
  } else {
    refuse(400, "The body's chunks are not well-formed.");
  }
}

void BodyScanner::end_size_line() {
  size_digits_ = 0;
  if (left_bytes_ == 0) {
    state_ = State::TrailerStart;
    return;
  }
  if (left_bytes_ > allowed_bytes_) {
    return refuse(413, "The body is too long.");
  }
  allowed_bytes_ -= left_bytes_;
  state_ = State::Data;
}

void BodyScanner::step_trailer(char c) {
  switch (state_) {
    case State::TrailerStart:
      state_ = c == '\r' ? State::EndLf : State::TrailerName;
      return c != '\r' && !is_token_char(c) ? refuse(400, "The body's trailers are not well-formed.") : void();
    case State::TrailerName:
      if (c == ':') {
        state_ = State::Trailer;
        return;
      }
      return is_token_char(c) ? void() : refuse(400, "The body's trailers are not well-formed.");
    case State::Trailer:
      if (c == '\r') {
        state_ = State::TrailerLf;
        return;
      }
      return is_control(c) ? refuse(400, "The body's trailers are not well-formed.") : void();
    case State::TrailerLf:
      return expect(c, '\n', State::TrailerStart);
    default:
      return expect(c, '\n', State::Complete);
  }
}

void BodyScanner::expect(char c, char wanted, State next) {
  if (c != wanted) {
    return refuse(400, "The body's chunks are not well-formed.");
  }
  state_ = next;
}

}  // namespace jamsocket::http
