// wsload: a small WebSocket load client for one machine.
//
// One thread, one epoll set, no library but OpenSSL. It opens the connections, waits until every one is upgraded,
// runs one mode and prints one line of JSON; code 2 and a sentence where the run cannot be trusted.
//
//   echo    every connection keeps --depth messages in flight and expects each back; with --rate, open loop:
//           each sends so many a second, one connection after the other, timed from the intended moment
//   fanout  --rooms rooms, each with --publishers publishers, which take turns, and --conns subscribers.
//           Closed loop (--window publishes in flight a room) or, with --rate, open loop (publishes a
//           second and room, timed from the intended moment)
//   idle    the connections are opened and left alone; the server's memory is read
//   rooms   a room for each connection: opened, asked, closed; what the server holds is read
//   churn   connect, upgrade, leave, --burst at a time
//   trickle the connections say a byte of their TLS hello each second, while --rate honest clients a second connect
//
// With --tls all of it is over TLS, whoever's certificate it is. With --server-pid the CPU time the server used inside
// the measured window is read from its CPU clock. "others_cpu_pct" is what everything else on the machine used
// meanwhile (100 = one core): a run with more than a few per cent of it was disturbed and is worth repeating.

#include <sys/resource.h>

#include "load/holding.hpp"
#include "load/options.hpp"
#include "load/traffic.hpp"
#include "load/trickle.hpp"

namespace {

void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

int main(int argc, char** argv) {
  using jamsocket::bench::Mode;
  const auto options = jamsocket::bench::parse_load_options(argc, argv);
  raise_open_files_limit();
  switch (options.mode) {
    case Mode::Echo:
    case Mode::Fanout:
      jamsocket::bench::Traffic(options).run();
      break;
    case Mode::Idle:
      jamsocket::bench::run_idle(options);
      break;
    case Mode::Rooms:
      jamsocket::bench::run_rooms(options);
      break;
    case Mode::Churn:
      jamsocket::bench::run_churn(options);
      break;
    case Mode::Trickle:
      jamsocket::bench::run_trickle(options);
      break;
  }
  return 0;
}
