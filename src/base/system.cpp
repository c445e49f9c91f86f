#include "base/system.hpp"

#include <unistd.h>

#include <system_error>

namespace jamsocket {

std::string words_of(int error) { return std::generic_category().message(error); }

Descriptor::~Descriptor() {
  if (valid()) {
    ::close(descriptor_);
  }
}

}  // namespace jamsocket
