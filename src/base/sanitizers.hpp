// base/sanitizers.hpp
//
// With which sanitizer this was compiled, by GCC or Clang.

#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define JAM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JAM_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define JAM_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define JAM_THREAD_SANITIZER 1
#endif
#endif

namespace jamsocket {

#ifdef JAM_ADDRESS_SANITIZER
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

}  // namespace jamsocket
