// raw_epoll: the physical limit of epoll and one system call a frame; see floor/floor.hpp.
//
//   raw_epoll [--mode echo|fanout] [--port N] [--payload BYTES] [--coalesce 0|1] [--tls-cert FILE --tls-key FILE]

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "floor/floor.hpp"

int main(int argc, char** argv) {
  jamsocket::bench::FloorOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--mode") {
      options.mode = value;
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::strtoul(value, nullptr, 10));
    } else if (name == "--payload") {
      options.payload = std::strtoul(value, nullptr, 10);
    } else if (name == "--coalesce") {
      options.coalesce = std::string_view(value) == "1";
    } else if (name == "--tls-cert") {
      options.tls_cert = value;
    } else if (name == "--tls-key") {
      options.tls_key = value;
    } else {
      std::fprintf(stderr, "raw_epoll: no such option: %s\n", argv[i]);
      return 2;
    }
  }
  if (options.mode != "echo" && options.mode != "fanout") {
    std::fprintf(stderr, "raw_epoll: --mode is echo or fanout\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets without MSG_NOSIGNAL.
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  jamsocket::bench::Floor(options).run();
}
