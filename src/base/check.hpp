// base/check.hpp
//
// What we ourselves got wrong ends the process, in every build: a broken invariant is never survived.

#pragma once

namespace jamsocket {

/// Prints the place and the condition on standard error and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace jamsocket

#define JAM_CHECK(condition)                                     \
  do {                                                           \
    if (!(condition)) [[unlikely]] {                             \
      ::jamsocket::check_failed(__FILE__, __LINE__, #condition); \
    }                                                            \
  } while (false)
