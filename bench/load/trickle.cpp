#include "load/trickle.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "load/clients.hpp"
#include "load/histogram.hpp"
#include "load/machine.hpp"

namespace jamsocket::bench {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000U;
constexpr std::uint64_t kByteEveryNs = kSecondNs;
constexpr std::uint64_t kCloseTimeoutNs = 60 * kSecondNs;

/// Those that trickle: one byte of all of them after the other, spread evenly over time.
class Tricklers {
 public:
  explicit Tricklers(const LoadOptions& options) : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) {
      die_errno("epoll_create1");
    }
    hello_ = TlsClient(TlsClientContext()).take_outgoing();
  }
  Tricklers(const Tricklers&) = delete;
  Tricklers& operator=(const Tricklers&) = delete;
  ~Tricklers() {
    for (const Trickler& one : all_) {
      if (one.fd >= 0) {
        ::close(one.fd);
      }
    }
    ::close(epoll_);
  }

  void open_all() {
    all_.resize(options_.conns);
    for (Trickler& one : all_) {
      one.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(options_.port);
      if (one.fd < 0 || inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1 ||
          ::connect(one.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        die_errno("connect");
      }
      one.opened_ns = now_ns();
      epoll_event event{EPOLLIN, {&one}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event);
    }
    next_at_ = now_ns();
  }

  /// Says what is due by now, and sees who was closed.
  void go_on(std::uint64_t now) {
    for (; next_at_ <= now; next_at_ += std::max<std::uint64_t>(1, kByteEveryNs / all_.size())) {
      Trickler& one = all_[turn_];
      turn_ = (turn_ + 1) % all_.size();
      if (one.fd >= 0 && one.said + 1 < hello_.size()) {
        one.said += ::send(one.fd, &hello_[one.said], 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 1U : 0U;
      }
    }
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), events.size(), 0);
    for (int i = 0; i < count; ++i) {
      see(*static_cast<Trickler*>(events[static_cast<std::size_t>(i)].data.ptr), now);
    }
  }

  [[nodiscard]] std::size_t closed() const { return closed_; }
  [[nodiscard]] std::uint64_t first_closed_ns() const { return first_closed_ns_; }
  [[nodiscard]] std::uint64_t last_closed_ns() const { return last_closed_ns_; }

 private:
  struct Trickler {
    int fd = -1;
    std::size_t said = 0;
    std::uint64_t opened_ns = 0;
  };

  void see(Trickler& one, std::uint64_t now) {
    std::array<char, 256> said;
    if (::recv(one.fd, said.data(), said.size(), MSG_DONTWAIT) > 0) {
      return;
    }
    ::close(one.fd);
    one.fd = -1;
    ++closed_;
    const std::uint64_t after = now - one.opened_ns;
    first_closed_ns_ = closed_ == 1 ? after : std::min(first_closed_ns_, after);
    last_closed_ns_ = std::max(last_closed_ns_, after);
  }

  const LoadOptions& options_;
  int epoll_ = -1;
  std::string hello_;
  std::vector<Trickler> all_;
  std::size_t turn_ = 0;
  std::uint64_t next_at_ = 0;
  std::size_t closed_ = 0;
  std::uint64_t first_closed_ns_ = 0;  ///< From its opening.
  std::uint64_t last_closed_ns_ = 0;
};

/// The honest ones, until `stop_at`: every one that is due then is waited for.
class Honest {
 public:
  explicit Honest(const LoadOptions& options) : options_(options), clients_(options), slots_(options.burst) {}

  [[nodiscard]] Histogram connect_until(std::uint64_t stop_at, Tricklers& tricklers) {
    Histogram latency;
    auto due = static_cast<double>(now_ns());
    std::size_t under_way = 0;
    for (auto now = static_cast<std::uint64_t>(due); now < stop_at || under_way > 0; now = now_ns()) {
      for (; static_cast<double>(now) >= due && now < stop_at; due += 1e9 / options_.rate) {
        dial(static_cast<std::uint64_t>(due));
        ++under_way;
      }
      for (const auto& event : clients_.wait(1)) {
        Client& client = Clients::client_of(event);
        if (clients_.read_upgrade(client)) {
          latency.add(now_ns() - client.dialled_ns);
          clients_.leave(client);
          --under_way;
        }
      }
      tricklers.go_on(now_ns());
      if (now > stop_at + kCloseTimeoutNs) {
        die("honest clients were not let in within a minute");
      }
    }
    return latency;
  }

 private:
  void dial(std::uint64_t due_ns) {
    const auto slot = std::ranges::find_if(slots_, [](const Client& client) { return client.fd < 0; });
    if (slot == slots_.end()) {
      die("too many honest clients wait: --burst");
    }
    clients_.dial(*slot);
    slot->dialled_ns = due_ns;
  }

  const LoadOptions& options_;
  Clients clients_;
  std::vector<Client> slots_;
};

}  // namespace

void run_trickle(const LoadOptions& options) {
  Tricklers tricklers(options);
  tricklers.open_all();
  Honest honest(options);
  const auto from_now = [](double seconds) { return now_ns() + static_cast<std::uint64_t>(seconds * 1e9); };
  // Who comes first is served first: when this one is in, the server has met all that trickle.
  (void)honest.connect_until(now_ns() + 1, tricklers);
  (void)honest.connect_until(from_now(options.warmup), tricklers);
  const ProcessUse before = process_use(options.server_pid);
  const std::uint64_t client_before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const std::uint64_t machine_before = machine_busy_ns();
  const std::uint64_t start = now_ns();
  const Histogram latency = honest.connect_until(from_now(options.seconds), tricklers);
  const auto ns = static_cast<double>(now_ns() - start);
  const ProcessUse after = process_use(options.server_pid);
  const auto server_ns = static_cast<double>(after.cpu_ns - before.cpu_ns);
  const auto client_ns = static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client_before);
  const double others_ns =
      std::max(0.0, static_cast<double>(machine_busy_ns() - machine_before) - server_ns - client_ns);
  const std::size_t held = options.conns - tricklers.closed();
  const std::uint64_t until = now_ns() + kCloseTimeoutNs;
  Clients nobody(options);
  for (std::uint64_t now = now_ns(); tricklers.closed() < options.conns && now < until; now = now_ns()) {
    tricklers.go_on(now);
    (void)nobody.wait(1);  // Only the time passes.
  }
  std::printf(R"({"label":"%s","mode":"trickle","conns":%u,"rate":%.0f,"seconds":%.3f,)"
              R"("lat_us":{"p50":%.1f,"p99":%.1f,"max":%.1f},"held":%zu,"closed":%zu,)"
              R"("closed_after_ms":{"first":%.0f,"last":%.0f},"server":{"cpu_pct":%.1f,"rss_kib":%llu},)"
              R"("client":{"cpu_pct":%.1f},"others_cpu_pct":%.1f})"
              "\n",
              options.label.c_str(), options.conns, options.rate, ns / 1e9,
              static_cast<double>(latency.percentile(50)) / 1e3, static_cast<double>(latency.percentile(99)) / 1e3,
              static_cast<double>(latency.max()) / 1e3, held, tricklers.closed(),
              static_cast<double>(tricklers.first_closed_ns()) / 1e6,
              static_cast<double>(tricklers.last_closed_ns()) / 1e6, server_ns / ns * 100,
              static_cast<unsigned long long>(after.rss_kib), client_ns / ns * 100, others_ns / ns * 100);
}

}  // namespace jamsocket::bench
