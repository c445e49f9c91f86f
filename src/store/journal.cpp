#include "store/journal.hpp"

#include <utility>

#include "base/check.hpp"

namespace jamsocket::store {

Ticket Journal::written(CommitTarget& target, Ticket last) {
  if (last != open_ticket_) {
    targets_.push_back(&target);
  }
  return open_ticket_;
}

void Journal::find(CommitTarget& target, RoomName name) {
  flush();
  ++asked_;
  store_.find(std::move(name), [this, &target](Result<std::optional<StoredRoom>> room) {
    post_([this, &target, room = std::move(room)]() mutable {
      --asked_;
      target.found(std::move(room));
    });
  });
}

void Journal::flush() {
  if (open_.empty()) {
    return;
  }
  in_flight_.push_back(std::exchange(targets_, {}));
  ++open_ticket_;
  store_.submit(std::exchange(open_, {}), [this] { post_([this] { committed_next(); }); });
}

void Journal::committed_next() {
  JAM_CHECK(!in_flight_.empty());
  const Ticket ticket = open_ticket_ - in_flight_.size();
  const std::vector<CommitTarget*> targets = std::move(in_flight_.front());
  in_flight_.pop_front();
  for (CommitTarget* const target : targets) {
    target->committed(ticket);
  }
}

}  // namespace jamsocket::store
