#include "base/system.hpp"

#include <unistd.h>

#include <csignal>
#include <system_error>

namespace jamsocket {

std::string words_of(int error) { return std::generic_category().message(error); }

void outlive_file_size_limit() { std::signal(SIGXFSZ, SIG_IGN); }

Descriptor::~Descriptor() {
  if (valid()) {
    ::close(descriptor_);
  }
}

}  // namespace jamsocket
