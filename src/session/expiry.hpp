// session/expiry.hpp
//
// When a client's token expires: the one part of a session that most sessions lack.

#pragma once

#include "io/timer_heap.hpp"
#include "session/client_session.hpp"

namespace jamsocket::session {

class ClientSession::Expiry final : public io::TimerTarget {
 public:
  explicit Expiry(ClientSession& session) : session_(session) {}
  void on_timer() override { session_.expired(); }
  io::TimerNode node{*this};

 private:
  ClientSession& session_;
};

}  // namespace jamsocket::session
