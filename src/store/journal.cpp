#include "store/journal.hpp"

#include <utility>

#include "base/check.hpp"

namespace jamsocket::store {
namespace {

constexpr std::size_t kSpentKept = 4;
constexpr std::size_t kSpentBytesMax = std::size_t{4} << 20U;

}  // namespace

Ticket Journal::written(CommitTarget& target, Ticket last, Hurry hurry) {
  if (hurry == Hurry::Yes) {
    hurry_ = Hurry::Yes;
  }
  if (last != open_ticket_) {
    targets_.push_back(&target);
  }
  return open_ticket_;
}

void Journal::find(CommitTarget& target, RoomName name, Extent extent) {
  flush();
  ++asked_;
  store_.find(std::move(name), extent, [this, &target](Result<std::optional<StoredRoom>> room) {
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
  hurry_ = Hurry::No;
  Batch next;
  if (!spent_.empty()) {
    next = std::move(spent_.back());
    spent_.pop_back();
  }
  store_.submit(std::exchange(open_, std::move(next)), [this](Batch spent) {
    post_([this, spent = std::move(spent)]() mutable { committed_next(std::move(spent)); });
  });
}

void Journal::committed_next(Batch spent) {
  if (spent_.size() < kSpentKept && spent.bytes.capacity() <= kSpentBytesMax) {
    spent.clear();
    spent_.push_back(std::move(spent));
  }
  JAM_CHECK(!in_flight_.empty());
  const Ticket ticket = open_ticket_ - in_flight_.size();
  const std::vector<CommitTarget*> targets = std::move(in_flight_.front());
  in_flight_.pop_front();
  for (CommitTarget* const target : targets) {
    target->committed(ticket);
  }
}

}  // namespace jamsocket::store
