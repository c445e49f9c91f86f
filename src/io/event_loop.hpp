// io/event_loop.hpp
//
// epoll: which descriptors are ready, and whose they are. Level-triggered, but where EPOLLET is asked for: then an
// event says what has changed, and `change` also asks for one on what is there already.
//
// The loop does not run itself: a shard calls `wait`, goes through what is ready, and does the rest
// of its turn, so that nothing of a turn lives in a frame of ours.

#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "io/socket.hpp"

namespace jamsocket::io {

class EventHandler {
 public:
  virtual ~EventHandler() = default;
  /// `events`: EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as epoll reported them.
  virtual void on_ready(std::uint32_t events) = 0;
};

class EventLoop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> create();

  /// @error Io  out of memory or watches (`/proc/sys/fs/epoll/max_user_watches`).
  [[nodiscard]] Result<void> add(const Socket& socket, std::uint32_t events, EventHandler& handler);
  void change(const Socket& socket, std::uint32_t events, EventHandler& handler);
  void remove(const Socket& socket);

  /// Waits for something to be ready, for `wake`, or until `timeout` (none: for ever; zero: a look).
  /// @return what is ready; valid until the next wait. Handlers removed meanwhile must stay alive
  ///   until the caller is through with it.
  [[nodiscard]] std::span<const epoll_event> wait(std::optional<std::chrono::nanoseconds> timeout);

  /// Makes the current or the next `wait` return. Any thread.
  void wake();

 private:
  EventLoop(Socket epoll, Socket wake_up);

  Socket epoll_;
  Socket wake_up_;  ///< An eventfd.
  std::vector<epoll_event> ready_;
};

}  // namespace jamsocket::io
