#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace jamsocket {

void check_failed(const char* file, int line, const char* condition) noexcept {
  std::fprintf(stderr, "jamsocket: broken invariant at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace jamsocket
