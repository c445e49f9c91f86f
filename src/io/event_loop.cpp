#include "io/event_loop.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

#include "base/check.hpp"

namespace jamsocket::io {
namespace {
constexpr std::size_t kEventsPerWait = 1024;
}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  Socket epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) {
    return fail(ErrorCode::Io, errno_message("epoll_create1"));
  }
  Socket wake_up(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_up.is_open()) {
    return fail(ErrorCode::Io, errno_message("eventfd"));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // The one watch without a handler.
  if (epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, wake_up.fd(), &event) != 0) {
    return fail(ErrorCode::Io, errno_message("epoll_ctl"));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake_up)));
}

EventLoop::EventLoop(Socket epoll, Socket wake_up)
    : epoll_(std::move(epoll)), wake_up_(std::move(wake_up)), ready_(kEventsPerWait) {}

Result<void> EventLoop::add(const Socket& socket, std::uint32_t events, EventHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, socket.fd(), &event) != 0) {
    return fail(ErrorCode::Io, errno_message("epoll_ctl"));
  }
  return {};
}

void EventLoop::change(const Socket& socket, std::uint32_t events, EventHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  JAM_CHECK(epoll_ctl(epoll_.fd(), EPOLL_CTL_MOD, socket.fd(), &event) == 0);
}

void EventLoop::remove(const Socket& socket) {
  JAM_CHECK(epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, socket.fd(), nullptr) == 0);
}

std::span<const epoll_event> EventLoop::wait(std::optional<std::chrono::nanoseconds> timeout) {
  int timeout_ms = -1;
  if (timeout) {
    // Rounded up: a wait that ends just before its deadline would be followed by one of zero.
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    timeout_ms = ms < 0 ? 0 : ms > 60'000 ? 60'000 : static_cast<int>(ms);
  }
  const int n = epoll_wait(epoll_.fd(), ready_.data(), static_cast<int>(ready_.size()), timeout_ms);
  if (n < 0) {
    JAM_CHECK(errno == EINTR);
    return {};
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    if (ready_[i].data.ptr == nullptr) {
      std::uint64_t times = 0;
      // Nothing to read is fine: another wait took it.
      [[maybe_unused]] const auto got = ::read(wake_up_.fd(), &times, sizeof times);
    } else {
      ready_[kept++] = ready_[i];
    }
  }
  return std::span(ready_).first(kept);
}

void EventLoop::wake() {
  const std::uint64_t one = 1;
  // Full means that a wake-up is pending already.
  [[maybe_unused]] const auto written = ::write(wake_up_.fd(), &one, sizeof one);
}

}  // namespace jamsocket::io
