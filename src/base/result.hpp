// base/result.hpp
//
// What the world does wrong (a peer, a disk, a file, a configuration) comes back as a Result.

#pragma once

#include <expected>
#include <string>
#include <utility>

namespace jamsocket {

enum class ErrorCode {
  InvalidArgument,  ///< A value outside what is allowed.
  NotFound,
  AlreadyExists,
  Unsupported,  ///< A version, feature or format we do not speak.
  Malformed,    ///< Bytes that are not what they claim to be.
  TooLarge,
  LimitReached,  ///< A configured limit; trying later may work.
  Io,            ///< The operating system said no; the message has its words.
  GuestFault,    ///< The guest trapped or ran over a budget.
};

/// A code to branch on, and one sentence for a person: what was wrong, what is allowed, where.
struct Error {
  ErrorCode code = ErrorCode::InvalidArgument;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace jamsocket

/// The value of a Result, or: returns its Error to our caller. Do not nest.
#define JAM_TRY(expression)                                      \
  __extension__({                                                \
    auto jam_try_result = (expression);                          \
    if (!jam_try_result) {                                       \
      return std::unexpected(std::move(jam_try_result).error()); \
    }                                                            \
    std::move(jam_try_result).value();                           \
  })

/// For a Result<void>.
#define JAM_TRY_VOID(expression)                                 \
  do {                                                           \
    if (auto jam_try_result = (expression); !jam_try_result) {   \
      return std::unexpected(std::move(jam_try_result).error()); \
    }                                                            \
  } while (false)
