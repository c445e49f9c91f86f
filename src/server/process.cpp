#include "server/process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "base/number.hpp"
#include "base/system.hpp"
#include "io/socket.hpp"

namespace jamsocket::server {
namespace {

sigset_t our_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  return signals;
}

io::Socket descriptor_of(const sigset_t& signals) {
  return io::Socket(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

io::Socket make_eventfd() { return io::Socket(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void ignore_broken_pipes() {
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);  // Refused: the server lives within what it has.
  }
}

// One of the standard streams that is a terminal; -1: none is.
int standard_terminal() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (isatty(fd) == 1) {
      return fd;
    }
  }
  return -1;
}

enum class Woken : std::uint8_t { Signal, Reload, HungUp, Asked, Stopped };

// Waits for a signal to stop or to reload, for somebody who asks for a stop, or for the thread that stops the server.
class StopWaiter {
 public:
  StopWaiter() : signals_(descriptor_of(our_signals())), stopped_(make_eventfd()) {}

  [[nodiscard]] bool is_open() const { return signals_.is_open() && stopped_.is_open(); }

  [[nodiscard]] Woken wait() const {
    for (;;) {
      std::array<pollfd, 2> polled{{{signals_.fd(), POLLIN, 0}, {stopped_.fd(), POLLIN, 0}}};
      const int ready = poll(polled.data(), polled.size(), -1);
      JAM_CHECK(ready > 0 || errno == EINTR);
      if (ready > 0 && polled[1].revents != 0) {
        eventfd_t told = 0;
        eventfd_read(stopped_.fd(), &told);
        return told >= kStopped ? Woken::Stopped : Woken::Asked;
      }
      signalfd_siginfo info{};
      if (ready > 0 && ::read(signals_.fd(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
        if (info.ssi_signo != SIGHUP) {
          return Woken::Signal;
        }
        return terminal_is_gone() ? Woken::HungUp : Woken::Reload;
      }
    }
  }

  void tell_stopped() const { eventfd_write(stopped_.fd(), kStopped); }
  /// Somebody without a signal wants the server to stop. Any thread.
  void ask_to_stop() const { eventfd_write(stopped_.fd(), 1); }

 private:
  static constexpr eventfd_t kStopped = eventfd_t{1} << 32U;  // More than there are askings.

  // SIGHUP has two meanings: somebody asks for a reload, or the window in which this was started was closed.
  [[nodiscard]] bool terminal_is_gone() const {
    pollfd polled{terminal_, 0, 0};
    return terminal_ >= 0 && poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0;
  }

  io::Socket signals_;
  io::Socket stopped_;
  int terminal_ = standard_terminal();
};

}  // namespace

void prepare_process() {
  const sigset_t signals = our_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ignore_broken_pipes();
  outlive_file_size_limit();
  raise_open_files_limit();
}

EndsAtSignal::EndsAtSignal() : over_(make_eventfd()) {
  sigset_t signals = our_signals();
  sigdelset(&signals, SIGHUP);  // Waits for a server that can reload.
  signals_ = descriptor_of(signals);
  if (signals_.is_open() && over_.is_open()) {
    watcher_ = std::jthread([this] { watch(); });
  }
}

EndsAtSignal::~EndsAtSignal() {
  if (watcher_.joinable()) {
    eventfd_write(over_.fd(), 1);
  }
}

void EndsAtSignal::watch() const {
  for (;;) {
    std::array<pollfd, 2> polled{{{signals_.fd(), POLLIN, 0}, {over_.fd(), POLLIN, 0}}};
    const int ready = poll(polled.data(), polled.size(), -1);
    if (ready > 0 && polled[1].revents != 0) {
      return;  // A signal that came in the same moment stays for who takes signals next.
    }
    if (ready > 0 && polled[0].revents != 0) {
      std::_Exit(0);  // Without destructors: other threads are at work.
    }
  }
}

Result<std::vector<io::Socket>> inherited_sockets() {
  constexpr int kFirst = 3;  // Behind standard input, output and error.
  constexpr std::uint32_t kMost = 64;
  const auto number = [](const char* name) -> std::optional<std::uint32_t> {
    const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any other thread.
    return parse_number<std::uint32_t>(text == nullptr ? "" : text);
  };
  if (number("LISTEN_PID") != static_cast<std::uint32_t>(::getpid())) {
    return std::vector<io::Socket>();  // Not there, or meant for another process.
  }
  const auto count = number("LISTEN_FDS");
  if (!count || *count > kMost) {
    return fail(ErrorCode::InvalidArgument, fmt::format("LISTEN_FDS is no number from 0 to {}", kMost));
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): as above. No child may take them for its own.
  }
  std::vector<io::Socket> sockets;
  sockets.reserve(*count);
  for (std::uint32_t i = 0; i < *count; ++i) {
    sockets.emplace_back(kFirst + static_cast<int>(i));
  }
  return sockets;
}

Result<void> run_until_signalled(Server& server, const std::function<void(std::uint16_t port)>& ready) {
  const StopWaiter waiter;
  if (!waiter.is_open()) {
    return fail(ErrorCode::Io, io::errno_message("signalfd or eventfd"));
  }
  server.on_stop_asked([&waiter] { waiter.ask_to_stop(); });
  if (auto sockets = JAM_TRY(inherited_sockets()); !sockets.empty()) {
    server.listen_on(std::move(sockets));
  }
  JAM_TRY_VOID(server.start());
  ready(server.port());
  while (waiter.wait() == Woken::Reload) {
    server.reload();
  }
  const std::jthread stopper([&server, &waiter] {
    server.stop();
    waiter.tell_stopped();
  });
  Woken woken = waiter.wait();
  // It is stopping already. A shell tells its programs that the terminal is gone, and so does the kernel.
  while (woken == Woken::Asked || woken == Woken::Reload || woken == Woken::HungUp) {
    woken = waiter.wait();
  }
  if (woken == Woken::Signal) {
    server.stop();  // Ends the wait of the first call.
  }
  return {};
}

LogOptions stderr_log_options(std::string_view level, std::string_view format) {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const bool text = format == "text" || (format == "auto" && terminal);
  const char* no_color = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nothing here sets variables.
  return {.level = std::string(level),
          .format = text ? LogFormat::Text : LogFormat::JsonLines,
          .colours = terminal && (no_color == nullptr || *no_color == '\0')};
}

void announce(const Server& server) {
  const std::string_view scheme = server.speaks_tls() ? "https://" : "http://";
  std::string lines;
  for (const Endpoint& endpoint : server.endpoints()) {
    lines += fmt::format("listening on {}{}\n", endpoint.is_unix() ? "" : scheme, endpoint.text());
  }
  std::fputs(lines.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace jamsocket::server
