// http/body_scanner.hpp
//
// Finds the end of a request's body, and takes it out of its chunks for who wants it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/head_scanner.hpp"

namespace jamsocket::http {

class BodyScanner {
 public:
  /// A body of `length_bytes`, perhaps 0.
  [[nodiscard]] static BodyScanner of_length(std::uint64_t length_bytes);
  /// A body in chunks, whose data may add up to `data_bytes_max`.
  [[nodiscard]] static BodyScanner of_chunks(std::uint64_t data_bytes_max);

  /// Takes bytes up to the end of the body, and says how many.
  /// @param kept  the body's data is appended to it; may be null.
  /// @source RFC 9112 section 7.1
  [[nodiscard]] std::size_t scan(std::string_view input, std::string* kept = nullptr);

  [[nodiscard]] bool complete() const { return state_ == State::Complete; }
  [[nodiscard]] const std::optional<HeadViolation>& violation() const { return violation_; }

 private:
  enum class State : std::uint8_t {
    Length,
    Size,
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    Trailer,
    TrailerLf,
    EndLf,
    Complete
  };

  void step(char c);
  void step_size(char c);
  void step_trailer(char c);
  void end_size_line();
  void expect(char c, char wanted, State next);
  void refuse(int http_status, std::string_view reason) { violation_ = HeadViolation{http_status, reason}; }

  State state_ = State::Complete;
  std::optional<HeadViolation> violation_;
  std::uint64_t left_bytes_ = 0;     // Of the body, or of the chunk; while its size is read, that size.
  std::uint64_t allowed_bytes_ = 0;  // Of chunks still to come.
  std::size_t size_digits_ = 0;
  std::size_t line_bytes_ = 0;  // Of size lines and trailers, all together.
};

}  // namespace jamsocket::http
